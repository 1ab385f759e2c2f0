//! Everything a person reads, as plain text and as HTML. Whatever comes from outside is escaped.

pub mod answer;
pub mod explained;
mod harmless;
pub mod html;
pub mod message;
pub mod report;
pub mod sight;
pub mod survey;
pub mod words;

pub use html::Html;
pub use message::Message;
