//! Listing keys by prefix, in pages. A page token is a place among the slots: an entry keeps its slot
//! while it lives, whatever the table does, so a key that is present throughout is seen exactly once. In the process
//! that a node was handed over to, slots are others and shards the same: there the present shard is listed anew.

use crate::engine::Engine;
use crate::error::Error;
use crate::limits::{MAX_KEY_BYTES, MAX_LIST_PAGE};
use crate::time::Now;
use xxhash_rust::xxh64::xxh64;

/// Slots that are looked at under one hold of a shard's lock.
const PER_LOCK: u32 = 1_024;
/// Slots that one page may look at: what bounds the work of a request.
const PER_PAGE: u32 = 65_536;

const TOKEN_BYTES: usize = 8 + 4 + 4 + 4 + 4;

/// Which keys, and how many.
#[derive(Debug, Clone, Copy)]
pub struct ListRequest<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// Empty: all keys.
    pub prefix: &'a [u8],
    /// At most so many keys, 1 to [`MAX_LIST_PAGE`].
    pub page_size: usize,
    /// Of the page before; empty: from the start.
    pub page_token: &'a [u8],
}

/// Some keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListPage {
    /// In no order.
    pub keys: Vec<Vec<u8>>,
    /// Empty: that was all.
    pub next_page_token: Vec<u8>,
}

struct Place {
    shard: usize,
    slot: u32,
}

impl Engine {
    /// One page. It looks at a bounded number of entries, so it may be short, or empty, before the end.
    ///
    /// # Errors
    /// INVALID_ARGUMENT, NAMESPACE_NOT_FOUND.
    pub fn list(&self, request: &ListRequest<'_>, now: Now) -> Result<ListPage, Error> {
        if request.prefix.len() > MAX_KEY_BYTES {
            return Err(Error::invalid("prefix", format!("a prefix has at most {MAX_KEY_BYTES} bytes")));
        }
        if request.page_size == 0 || request.page_size > MAX_LIST_PAGE {
            return Err(Error::invalid("page_size", format!("1 to {MAX_LIST_PAGE} keys a page")));
        }
        let namespace = self.shared.registry.get(request.namespace)?;
        let mut place = self.place(request)?;
        let mut page = ListPage::default();
        let mut budget = PER_PAGE;
        while place.shard < self.shards.len() {
            if page.keys.len() == request.page_size || budget == 0 {
                page.next_page_token = self.token(request, &place);
                return Ok(page);
            }
            let shard = self.lock(place.shard);
            let occupied = shard.space(namespace.index).is_some_and(|space| space.open && space.entries > 0);
            let end = if occupied { shard.slab.end() } else { 0 };
            let stop = end.min(place.slot.saturating_add(PER_LOCK.min(budget)));
            while place.slot < stop && page.keys.len() < request.page_size {
                if let Some(entry) = shard.slab.get(place.slot)
                    && entry.namespace() == namespace.index
                    && entry.key().starts_with(request.prefix)
                    && shard.is_live(entry, now)
                {
                    page.keys.push(entry.key().to_vec());
                }
                place.slot += 1;
                budget -= 1;
            }
            if place.slot >= end {
                place = Place { shard: place.shard + 1, slot: 0 };
            }
        }
        Ok(page)
    }

    fn place(&self, request: &ListRequest<'_>) -> Result<Place, Error> {
        if request.page_token.is_empty() {
            return Ok(Place { shard: 0, slot: 0 });
        }
        let word = |at: usize| {
            let bytes = request.page_token.get(at..at + 4)?;
            Some(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        };
        let (table, place) = match (word(12), word(16), word(20)) {
            (Some(table), Some(shard), Some(slot)) if request.page_token.len() == TOKEN_BYTES => {
                (table, Place { shard: shard as usize, slot })
            }
            _ => return Err(Error::invalid("page_token", "it is not one that this node gave")),
        };
        let same_table = table == self.shared.config.table_id;
        let mut expected = self.token(request, &place);
        expected[12..16].copy_from_slice(&table.to_le_bytes());
        if expected != request.page_token {
            return Err(Error::invalid(
                "page_token",
                "it belongs to another namespace, prefix or life of the node: list from the start",
            ));
        }
        Ok(Place { slot: if same_table { place.slot } else { 0 }, ..place })
    }

    /// Incarnation, what was asked for, whose slots, shard, slot.
    fn token(&self, request: &ListRequest<'_>, place: &Place) -> Vec<u8> {
        let asked = xxh64(&[request.namespace.as_bytes(), &[0], request.prefix].concat(), 0) as u32;
        let mut token = Vec::with_capacity(TOKEN_BYTES);
        token.extend_from_slice(&self.shared.config.incarnation.to_le_bytes());
        token.extend_from_slice(&asked.to_le_bytes());
        token.extend_from_slice(&self.shared.config.table_id.to_le_bytes());
        token.extend_from_slice(&(place.shard as u32).to_le_bytes());
        token.extend_from_slice(&place.slot.to_le_bytes());
        token
    }
}
