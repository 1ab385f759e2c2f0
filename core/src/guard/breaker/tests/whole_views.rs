//! What is counted as it changes, against the rule over whole views.

use proptest::prelude::*;

use super::*;

/// The rule by itself, over whole views: of those who were living and are there, at least half and three
/// turn stale in one sweep.
#[derive(Default)]
struct WholeView {
    states: BTreeMap<usize, Option<Timestamp>>,
    last: Option<Timestamp>,
}

impl WholeView {
    fn opens(&mut self, views: &[View], now: Timestamp) -> bool {
        let looked = self.last.replace(now).unwrap_or(now);
        let was_living = |state: Option<&Option<Timestamp>>| matches!(state, Some(Some(at)) if looked.since(*at) <= living::LIVING);
        let here = |n: &usize| views[*n] != View::Away;
        let before: Vec<_> = (0..views.len()).filter(|n| was_living(self.states.get(n))).collect();
        let living = before.iter().filter(|n| here(n)).count();
        let turned = before.iter().filter(|n| views[**n] == View::Stale).count();
        for (n, view) in views.iter().enumerate() {
            match view {
                View::Active => _ = self.states.insert(n, Some(now)),
                View::Stale => _ = self.states.insert(n, None),
                View::Unknown if was_living(self.states.get(&n)) => _ = self.states.insert(n, Some(now)),
                View::Unknown => {}
                View::Away => {
                    if !was_living(self.states.get(&n)) {
                        self.states.remove(&n);
                    }
                }
            }
        }
        turned >= 3 && turned * 2 >= living
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum View {
    Active,
    Stale,
    Unknown,
    Away,
}

fn views() -> impl Strategy<Value = Vec<(u64, Vec<View>)>> {
    let view = prop_oneof![
        5 => Just(View::Active), 3 => Just(View::Stale), 1 => Just(View::Unknown), 2 => Just(View::Away),
    ];
    // Sweeps are a minute or more apart; some of them after long nights.
    let after = prop_oneof![8 => 1..4_u64, 1 => 9..30_u64];
    prop::collection::vec((after, prop::collection::vec(view, 8)), 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_counted_as_it_changes_opens_where_a_whole_view_would(views in views()) {
        let (active, stale) = judgements();
        let unknown = unknown();
        let owners = owners(8);
        let settings = Settings::default();
        let (mut whole, mut breakers, mut now) = (WholeView::default(), Breakers::default(), START);
        for (after, views) in views {
            now = now + Duration::from_mins(after);
            let judged = owners.iter().zip(&views).filter_map(|(owner, view)| match view {
                View::Active => Some((owner, LIST, &active)),
                View::Stale => Some((owner, LIST, &stale)),
                View::Unknown => Some((owner, LIST, &unknown)),
                View::Away => None,
            });
            let opened = !breakers.observe(judged, &settings, now).is_empty();
            prop_assert_eq!(opened, whole.opens(&views, now), "{:?}", views);
            breakers.close(None);
        }
    }

    #[test]
    fn rooms_looked_at_within_a_minute_open_it_as_one_whole_view_would(
        goes in prop::collection::vec(any::<bool>(), 1..30), room in 1..7_usize, seconds in 1..3_u64,
    ) {
        let (active, stale) = judgements();
        let owners = owners(goes.len());
        let settings = Settings::default();
        let judged: Vec<_> =
            owners.iter().zip(&goes).map(|(owner, goes)| (owner, LIST, if *goes { &stale } else { &active })).collect();
        let later = START + Duration::from_mins(3);
        let started = |breakers: &mut Breakers| {
            breakers.observe(owners.iter().map(|owner| (owner, LIST, &active)), &settings, START)
        };
        let (mut whole, mut by_room) = (Breakers::default(), Breakers::default());
        prop_assert_eq!((started(&mut whole), started(&mut by_room)), (vec![], vec![]));
        let opens = !whole.observe(judged.iter().copied(), &settings, later).is_empty();
        let mut opened = false;
        for (at, judged) in judged.chunks(room).enumerate() {
            let now = later + Duration::from_secs(seconds) * u32::try_from(at).expect("few");
            opened |= !by_room.observe_judged(judged.iter().copied(), &settings, now).is_empty();
        }
        prop_assert_eq!(opened, opens);
    }
}
