//! What a key of the settings is, and the macro by which `keys` states each of them once.
//!
//! From that one statement come the field, its reading and checking, the default, the names in the file and in the
//! environment, `config.example.toml`, and what `config show` prints.

/// What stands behind a key, so that text from the environment can be read as it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Whole,
    Fraction,
    Flag,
    List,
    /// Relative to the config file's folder.
    Path,
    /// Has a twin, `<key>_file`, that names a file to read it from.
    Secret,
}

/// What holds where nobody sets a key, and how the example file shows it. All texts are as the environment gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// This value holds.
    Default(&'static str),
    /// Another key's value holds.
    Follows(&'static str),
    /// It must be set; the example has this.
    Needed(&'static str),
    /// It may be left out, but most set it; the example has this.
    Usual(&'static str),
    /// It may be left out; the example has this in a comment.
    Optional(&'static str),
}

// Named as the methods of `Reader` that read such a key: `sections!` takes one word for both.
impl Presence {
    pub(super) const fn or_default(text: &'static str) -> Self {
        Self::Default(text)
    }

    pub(super) const fn follows(key: &'static str) -> Self {
        Self::Follows(key)
    }

    pub(super) const fn needed(example: &'static str) -> Self {
        Self::Needed(example)
    }

    pub(super) const fn usual(example: &'static str) -> Self {
        Self::Usual(example)
    }

    pub(super) const fn optional(example: &'static str) -> Self {
        Self::Optional(example)
    }
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    /// With its sections, joined by dots.
    pub(super) name: &'static str,
    /// The key that names a file with the value; only a secret has one.
    pub(super) twin: &'static str,
    pub(super) kind: Kind,
    pub(super) presence: Presence,
    /// What the example shows in place of the default.
    pub(super) shown: Option<&'static str>,
    /// The comment above it in the example, which is also the documentation of its field.
    pub(super) help: &'static [&'static str],
}

impl Key {
    /// What the example shows, as the environment would give it.
    pub(super) fn example(&self) -> &'static str {
        let (Presence::Default(text)
        | Presence::Follows(text)
        | Presence::Needed(text)
        | Presence::Usual(text)
        | Presence::Optional(text)) = self.presence;
        self.shown.unwrap_or(text)
    }
}

/// A section and its keys, in the order of the example.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section {
    pub(super) name: &'static str,
    /// The comment above it in the example.
    pub(super) about: &'static [&'static str],
    pub(super) keys: &'static [Key],
}

/// One [`Key`] out of an entry of `sections!`.
macro_rules! key {
    ($section:literal, $key:ident, [$($help:literal),+], $presence:ident, $how:ident, $text:literal, [$($shown:literal)?]) => {
        $crate::config::table::Key {
            name: concat!($section, ".", stringify!($key)),
            twin: concat!($section, ".", stringify!($key), "_file"),
            kind: $crate::config::parse::$how.kind,
            presence: $crate::config::table::Presence::$presence($text),
            shown: $crate::config::table::key!(@shown $($shown)?),
            help: &[$($help),+],
        }
    };
    (@shown $shown:literal) => { Some($shown) };
    (@shown) => { None };
}

/// Makes a struct of each section, its reading, and `SECTIONS`, the table of all keys.
macro_rules! sections {
    ($(
        $(#[doc = $about:literal])*
        [$section:literal] $visible:vis struct $Section:ident {
            $(
                $(#[doc = $help:literal])+
                $key:ident: $type:ty = $presence:ident($how:ident, $text:literal $(, shown $shown:literal)?);
            )+
        }
    )+) => {
        $(
            #[doc = concat!("`[", $section, "]`")]
            #[doc = ""]
            $(#[doc = $about])*
            #[derive(Clone, Debug)]
            $visible struct $Section {
                $(
                    $(#[doc = $help])+
                    $visible $key: $type,
                )+
            }

            impl $Section {
                /// Reads every key before it gives up, so that all problems are found in one go.
                pub(super) fn read(reader: &mut $crate::config::reader::Reader) -> Result<Self, $crate::config::reader::Noted> {
                    $(
                        let $key = reader.$presence(
                            const { &$crate::config::table::key!($section, $key, [$($help),+], $presence, $how, $text, [$($shown)?]) },
                            &$crate::config::parse::$how,
                        );
                    )+
                    Ok(Self { $($key: $key?),+ })
                }
            }
        )+

        /// Every section with its keys, in the order of `config.example.toml`.
        pub(super) const SECTIONS: &[$crate::config::table::Section] = &[$(
            $crate::config::table::Section {
                name: $section,
                about: &[$($about),*],
                keys: &[$(
                    $crate::config::table::key!($section, $key, [$($help),+], $presence, $how, $text, [$($shown)?])
                ),+],
            }
        ),+];
    };
}

pub(super) use {key, sections};
