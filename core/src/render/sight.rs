//! What this set-up sees and what it cannot, said wherever somebody could take silence for "all is well"; and what
//! would let it see more.

use std::time::Duration;

use super::words;

/// Of which of this server's users something is to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Users {
    /// Of none.
    Nobody,
    /// Of those in `appservice.namespace`, which are not all.
    OfNamespace,
    /// Of all.
    OfServer,
}

impl Users {
    const fn words(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::OfNamespace => "the users in appservice.namespace",
            Self::OfServer => "this server's users",
        }
    }
}

/// What it is given to see and to write with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent gift")]
pub struct Sight {
    /// After how long a closed tab on a device that stays signed in is noticed by its silence.
    pub silent_after: Duration,
    /// After how long by the server's own lists, where they are there; its grace included.
    pub idle_after: Duration,
    /// Whether a call server is asked, which notices it within minutes.
    pub has_sfu: bool,
    /// Of whom the server's own device lists are asked for.
    pub own_lists: Users,
    /// Whether the homeserver has an admin API at all.
    pub has_admin_api: bool,
    /// Whether all rooms of the server can be looked through: a server admin may.
    pub has_survey: bool,
    /// Whose keys can be written as their owner.
    pub appservice: Users,
    /// Whether events may be redacted.
    pub may_redact: bool,
}

impl Sight {
    /// That of an ordinary account with the default settings.
    #[cfg(test)]
    pub(super) const ORDINARY: Self = Self {
        silent_after: Duration::from_mins(255),
        idle_after: Duration::from_mins(80),
        has_sfu: false,
        own_lists: Users::Nobody,
        has_admin_api: true,
        has_survey: false,
        appservice: Users::Nobody,
        may_redact: false,
    };

    /// What it cannot see, in one sentence; commands begin with `prefix`.
    pub fn blind(self, prefix: &str) -> String {
        let place = if self.has_sfu { " in calls on other call servers" } else { "" };
        let (early, late) = (words::span(self.idle_after), words::span(self.silent_after));
        let noticed = match self.own_lists {
            Users::Nobody => format!("after {late}"),
            Users::OfNamespace => format!("after {early} for {}, {late} for others", self.own_lists.words()),
            Users::OfServer => format!("after {early} for users of this server, {late} for others"),
        };
        let rooms = if self.has_survey {
            format!("rooms I am not in (`{prefix} survey` looks through them)")
        } else {
            "rooms I am not in, such as direct messages".to_owned()
        };
        format!(
            "I cannot see: closed tabs{place} of devices that stay signed in (noticed {noticed}, or when the membership expires); \
             {rooms}."
        )
    }

    /// What it sees and may do by what it was given; nothing where it was given nothing.
    pub fn given(self) -> Option<String> {
        let gifts = self.gifts();
        (!gifts.is_empty()).then(|| format!("What you set up lets me see and reach: {}.", gifts.join("; ")))
    }

    fn gifts(self) -> Vec<String> {
        let devices = format!("all devices of {}, and when each was last seen", self.own_lists.words());
        let keys = format!("keys that only their owner may write, of {}", self.appservice.words());
        let redacted = if self.appservice == Users::Nobody {
            "keys that only their owner may write, by redaction"
        } else {
            "such keys of everybody, by redaction"
        };
        let gifts = [
            (self.has_sfu, "who is connected to your call server".to_owned()),
            (self.own_lists != Users::Nobody, devices),
            (self.has_survey, "all rooms of this server, by a survey".to_owned()),
            (self.appservice != Users::Nobody, keys),
            (self.may_redact, redacted.to_owned()),
        ];
        gifts.into_iter().filter(|(is_given, _)| *is_given).map(|(_, gift)| gift).collect()
    }

    /// What would let it see or do more, the greatest gain first: the section or key, and what it buys.
    pub fn gains(self) -> Vec<(&'static str, String)> {
        let mut gains = Vec::new();
        let late = words::span(self.silent_after);
        if !self.has_sfu {
            gains.push((
                "[livekit]",
                format!("closed tabs in calls on your own call server, within 2 min instead of {late}"),
            ));
        }
        if self.has_admin_api && !(self.own_lists == Users::OfServer && self.has_survey) {
            let idle = words::span(self.idle_after);
            let devices = match self.own_lists {
                Users::Nobody => format!(
                    "closed apps of this server's users within {idle}, and devices without encryption keys; "
                ),
                Users::OfNamespace => format!(
                    "closed apps of this server's other users within {idle}, and their devices without encryption \
                     keys; "
                ),
                Users::OfServer => String::new(),
            };
            gains.push(("[synapse_admin]", format!("{devices}a survey of rooms I am not in")));
        }
        if self.appservice == Users::Nobody {
            gains.push(("[appservice]", "keys of older clients that only their owner may write".to_owned()));
        }
        if !self.may_redact {
            let whose = match self.appservice {
                Users::Nobody => "such keys, too",
                Users::OfNamespace => "keys of all others that only their owner may write",
                Users::OfServer => "keys of other servers' users that only their owner may write",
            };
            gains.push(("janitor.allow_redaction", format!("{whose}, though some clients notice late")));
        }
        gains
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Sight = Sight::ORDINARY;

    #[test]
    fn what_is_given_is_no_gain_any_more() {
        let keys = |sight: Sight| sight.gains().into_iter().map(|(key, _)| key).collect::<Vec<_>>();
        assert!(NOTHING.given().is_none());
        assert_eq!(
            keys(NOTHING),
            ["[livekit]", "[synapse_admin]", "[appservice]", "janitor.allow_redaction"]
        );
        let admin = Sight { own_lists: Users::OfServer, has_survey: true, ..NOTHING };
        assert_eq!(keys(admin), ["[livekit]", "[appservice]", "janitor.allow_redaction"]);
        assert_eq!(admin.gifts().len(), 2);
        let without_api = Sight { has_admin_api: false, ..NOTHING };
        assert_eq!(keys(without_api), ["[livekit]", "[appservice]", "janitor.allow_redaction"]);
        let by_appservice = Sight { own_lists: Users::OfServer, appservice: Users::OfServer, ..NOTHING };
        assert_eq!(by_appservice.gains()[1].1, "a survey of rooms I am not in");
        let all = Sight { has_sfu: true, appservice: Users::OfServer, may_redact: true, ..admin };
        assert!(all.gains().is_empty());
        assert_eq!(all.gifts().len(), 5);
    }

    #[test]
    fn what_it_cannot_see_depends_on_what_it_was_given() {
        assert!(
            NOTHING.blind("!janitor").contains("noticed after 4 h 15 min, or"),
            "{}",
            NOTHING.blind("!janitor")
        );
        let own = Sight { own_lists: Users::OfServer, has_survey: true, ..NOTHING }.blind("!janitor");
        assert!(
            own.contains("after 1 h 20 min for users of this server, 4 h 15 min for others")
                && own.contains("`!janitor survey`")
        );
    }

    #[test]
    fn of_a_narrow_namespace_nothing_is_promised_of_all_users() {
        let narrow = Sight { own_lists: Users::OfNamespace, appservice: Users::OfNamespace, ..NOTHING };
        let given = narrow.given().expect("it was given something");
        assert_eq!(given.matches("of the users in appservice.namespace").count(), 2, "{given}");
        let gains = narrow.gains();
        assert!(
            gains[1].1.starts_with("closed apps of this server's other users within 1 h 20 min"),
            "{gains:?}"
        );
        assert!(gains[2].1.starts_with("keys of all others"), "{gains:?}");
        let blind = narrow.blind("!janitor");
        assert!(
            blind.contains("after 1 h 20 min for the users in appservice.namespace, 4 h 15 min for others"),
            "{blind}"
        );
        for text in [given, blind] {
            assert!(!text.contains("this server"), "{text}");
        }
    }
}
