//! A doubly linked queue through the slots, which knows its length and its bytes.

use crate::slab::{NIL, Slab, SlotId};

#[derive(Debug)]
pub(crate) struct List {
    head: SlotId,
    tail: SlotId,
    len: usize,
    bytes: usize,
}

impl Default for List {
    fn default() -> Self {
        Self { head: NIL, tail: NIL, len: 0, bytes: 0 }
    }
}

impl List {
    pub(crate) fn push_head(&mut self, slab: &mut Slab, id: SlotId) {
        slab.set_prev(id, NIL);
        slab.set_next(id, self.head);
        if self.head == NIL {
            self.tail = id;
        } else {
            slab.set_prev(self.head, id);
        }
        self.head = id;
        self.len += 1;
        self.bytes += slab.entry(id).footprint();
    }

    pub(crate) fn unlink(&mut self, slab: &mut Slab, id: SlotId) {
        let (prev, next) = slab.links(id);
        if prev == NIL {
            self.head = next;
        } else {
            slab.set_next(prev, next);
        }
        if next == NIL {
            self.tail = prev;
        } else {
            slab.set_prev(next, prev);
        }
        self.len -= 1;
        self.bytes -= slab.entry(id).footprint();
    }

    pub(crate) fn pop_tail(&mut self, slab: &mut Slab) -> Option<SlotId> {
        let id = self.tail;
        if id == NIL {
            return None;
        }
        self.unlink(slab, id);
        Some(id)
    }

    /// Takes note that an entry of this list changed its size.
    pub(crate) fn resize(&mut self, before: usize, after: usize) {
        self.bytes = self.bytes - before + after;
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}
