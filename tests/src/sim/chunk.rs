//! An Automerge change chunk taken apart, to be put together wrongly: what a stranger could send.

use daybook_shared::ids::sha256;

/// The parts of a change chunk; [`Parts::bytes`] writes whatever they hold, with a right checksum.
#[derive(Debug, Clone)]
pub struct Parts {
    /// 1 for a change, 2 for a deflated one.
    pub kind: u8,
    /// What it builds on.
    pub deps: Vec<[u8; 32]>,
    /// Its author.
    pub actor: Vec<u8>,
    /// Its number in its author's chain.
    pub seq: u64,
    /// The number of its first operation.
    pub start_op: u64,
    /// Seconds since 1970.
    pub time: i64,
    /// A message; ours have none.
    pub message: Vec<u8>,
    /// Other authors it names.
    pub other_actors: Vec<Vec<u8>>,
    /// Columns: specification and data.
    pub columns: Vec<(u64, Vec<u8>)>,
    /// Bytes after the end.
    pub extra: Vec<u8>,
}

impl Parts {
    /// Takes a good change apart.
    pub fn of(chunk: &[u8]) -> Self {
        let mut rest = &chunk[8..];
        let kind = take(&mut rest, 1)[0];
        uleb(&mut rest);
        let deps = (0..uleb(&mut rest)).map(|_| take(&mut rest, 32).try_into().expect("32 bytes")).collect();
        let actor = prefixed(&mut rest);
        let (seq, start_op, time) = (uleb(&mut rest), uleb(&mut rest), sleb(&mut rest));
        let message = prefixed(&mut rest);
        let other_actors = (0..uleb(&mut rest)).map(|_| prefixed(&mut rest)).collect();
        let list: Vec<_> = (0..uleb(&mut rest)).map(|_| (uleb(&mut rest), uleb(&mut rest))).collect();
        let columns = list
            .into_iter()
            .map(|(spec, len)| (spec, take(&mut rest, usize::try_from(len).expect("a short chunk")).to_vec()))
            .collect();
        Self { kind, deps, actor, seq, start_op, time, message, other_actors, columns, extra: rest.to_vec() }
    }

    /// Writes the chunk.
    pub fn bytes(&self) -> Vec<u8> {
        let mut body = Vec::new();
        put_uleb(&mut body, self.deps.len() as u64);
        body.extend(self.deps.iter().flatten());
        put_prefixed(&mut body, &self.actor);
        put_uleb(&mut body, self.seq);
        put_uleb(&mut body, self.start_op);
        put_sleb(&mut body, self.time);
        put_prefixed(&mut body, &self.message);
        put_uleb(&mut body, self.other_actors.len() as u64);
        for actor in &self.other_actors {
            put_prefixed(&mut body, actor);
        }
        put_uleb(&mut body, self.columns.len() as u64);
        for (spec, data) in &self.columns {
            put_uleb(&mut body, *spec);
            put_uleb(&mut body, data.len() as u64);
        }
        body.extend(self.columns.iter().flat_map(|(_, data)| data));
        body.extend(&self.extra);
        let mut hashed = vec![self.kind];
        put_uleb(&mut hashed, body.len() as u64);
        hashed.extend(body);
        [&[0x85, 0x6f, 0x4a, 0x83], &sha256(&[&hashed])[..4], &hashed].concat()
    }

    /// The data of a column, empty if there was none.
    pub fn column(&mut self, spec: u64) -> &mut Vec<u8> {
        let at = self.columns.partition_point(|(other, _)| *other < spec);
        if self.columns.get(at).is_none_or(|(other, _)| *other != spec) {
            self.columns.insert(at, (spec, Vec::new()));
        }
        &mut self.columns[at].1
    }
}

/// One run of a run-length column: `count` times `value`.
pub fn run(count: i64, value: u64) -> Vec<u8> {
    let mut data = Vec::new();
    put_sleb(&mut data, count);
    put_uleb(&mut data, value);
    data
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> &'a [u8] {
    let (taken, left) = rest.split_at(len);
    *rest = left;
    taken
}

fn prefixed(rest: &mut &[u8]) -> Vec<u8> {
    let len = uleb(rest);
    take(rest, usize::try_from(len).expect("a short chunk")).to_vec()
}

fn uleb(rest: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = take(rest, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

/// Only what tests use: numbers that are not negative.
fn sleb(rest: &mut &[u8]) -> i64 {
    uleb(rest).cast_signed()
}

fn put_prefixed(out: &mut Vec<u8>, data: &[u8]) {
    put_uleb(out, data.len() as u64);
    out.extend(data);
}

/// Appends an unsigned LEB128.
pub fn put_uleb(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).expect("seven bits") | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).expect("seven bits"));
}

/// Appends a signed LEB128.
pub fn put_sleb(out: &mut Vec<u8>, mut value: i64) {
    loop {
        let byte = u8::try_from(value & 0x7f).expect("seven bits");
        value >>= 7;
        if (value == 0 && byte & 0x40 == 0) || (value == -1 && byte & 0x40 != 0) {
            out.push(byte);
            return;
        }
        out.push(byte | 0x80);
    }
}
