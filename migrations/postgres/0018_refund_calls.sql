-- Refunds that go back through the gateway that took a payment, one call each, whose key at the gateway is the
-- refund's id. next_at: when the gateway is asked (again) and until when whoever asks has it in hand; none once it
-- has said what became of it, or nobody asks any more. tries: how often it was asked. sent_by: who let the money go.
CREATE TABLE refund_call (
  refund_id    BIGINT NOT NULL PRIMARY KEY REFERENCES refund (id),
  payment_uid  UUID NOT NULL REFERENCES app_payment (payment_uid),
  tries        BIGINT NOT NULL,
  next_at      TIMESTAMPTZ,
  sent_at      TIMESTAMPTZ NOT NULL,
  sent_by      BIGINT NOT NULL REFERENCES app_user (id)
);
CREATE INDEX refund_call_payment ON refund_call (payment_uid);
CREATE INDEX refund_call_due ON refund_call (next_at) WHERE next_at IS NOT NULL;
