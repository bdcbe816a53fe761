-- How a device does. unsent_count, unsent_oldest_at: what it said at its last request that it still holds, and when
-- the oldest of it was captured. bytes_up, bytes_down: of its exchanges so far; the newest answers are added
-- later. silence_noted_at: when the alarm about its present silence was raised.
-- wiped_at: when it said that it has erased itself by order.
ALTER TABLE device ADD COLUMN unsent_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE device ADD COLUMN unsent_oldest_at INTEGER;
ALTER TABLE device ADD COLUMN bytes_up INTEGER NOT NULL DEFAULT 0;
ALTER TABLE device ADD COLUMN bytes_down INTEGER NOT NULL DEFAULT 0;
ALTER TABLE device ADD COLUMN silence_noted_at INTEGER;
ALTER TABLE device ADD COLUMN wiped_at INTEGER;

-- What of a device waits for a person.
CREATE INDEX entry_held_device ON entry (device_id) WHERE outcome = 'held';
