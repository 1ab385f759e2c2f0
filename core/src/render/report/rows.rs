//! The rows of one section. A mass clear makes thousands, and one found again is the same row.

use std::{collections::HashMap, ops::Deref};

use crate::{
    finding::Row,
    ids::{RoomId, UserId},
};

/// Rows in the order in which they were first added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    rows: Vec<Row>,
    index: HashMap<(RoomId, UserId, Vec<String>), usize>,
}

impl Rows {
    /// Adds a row. One of the same room, user and devices is replaced, and how often it was found adds up.
    pub fn add(&mut self, row: Row) {
        match self.index.get(&key(&row)) {
            Some(at) => {
                let old = &mut self.rows[*at];
                *old = Row { times: old.times + row.times, ..row };
            }
            None => self.push(row),
        }
    }

    fn push(&mut self, row: Row) {
        self.index.entry(key(&row)).or_insert(self.rows.len());
        self.rows.push(row);
    }
}

fn key(row: &Row) -> (RoomId, UserId, Vec<String>) {
    (row.room.clone(), row.user.clone(), row.devices.clone())
}

impl Deref for Rows {
    type Target = [Row];

    fn deref(&self) -> &[Row] {
        &self.rows
    }
}

/// As they are, the same ones too.
impl From<Vec<Row>> for Rows {
    fn from(all: Vec<Row>) -> Self {
        let mut rows = Self::default();
        for row in all {
            rows.push(row);
        }
        rows
    }
}
