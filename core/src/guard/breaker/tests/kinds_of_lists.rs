//! Two kinds of device lists, each of which may be wrong by itself.

use super::*;

/// So many of this server's users, by its own list, and of others, by `/keys/query`, are in calls.
struct Crowd {
    ours: Vec<Owner>,
    others: Vec<Owner>,
    breakers: Breakers,
}

impl Crowd {
    fn new(ours: usize, others: usize) -> Self {
        let mut all = owners(ours + others);
        let others = all.split_off(ours);
        let mut crowd = Self { ours: all, others, breakers: Breakers::default() };
        assert_eq!(crowd.look(0, 0, &judgements().1, START), []);
        crowd
    }

    /// Everybody is looked at; the first few of each are judged to be stale.
    fn look(&mut self, of_ours: usize, of_others: usize, stale: &Judgement, now: Timestamp) -> Vec<Change> {
        let (active, _) = judgements();
        let of = |kind: ListKind, gone: usize| {
            let active = &active;
            move |(n, owner)| (owner, kind, if n < gone { stale } else { active })
        };
        let ours = self.ours.iter().enumerate().map(of(ListKind::OwnList, of_ours));
        let others = self.others.iter().enumerate().map(of(ListKind::KeysQuery, of_others));
        self.breakers.observe(ours.chain(others), &Settings::default(), now)
    }

    fn vanish(&mut self, of_ours: usize, of_others: usize) -> Vec<Change> {
        self.look(of_ours, of_others, &judgements().1, START + Duration::from_mins(1))
    }
}

#[test]
fn a_wrong_own_list_opens_it_however_many_owners_are_on_other_servers() {
    let mut crowd = Crowd::new(8, 100);
    let changes = crowd.vanish(8, 0);
    assert!(matches!(changes[..], [Change::Opened { turned: 8, living: 8, .. }]), "{changes:?}");
    let soon = START + Duration::from_mins(2);
    assert_eq!(crowd.breakers.passage(Neighbour::DeviceLists, soon), Passage::Barred);
}

#[test]
fn a_wrong_keys_query_opens_it_however_many_owners_are_on_this_server() {
    let changes = Crowd::new(100, 8).vanish(0, 4);
    assert!(matches!(changes[..], [Change::Opened { turned: 4, living: 8, .. }]), "{changes:?}");
}

#[test]
fn too_few_by_each_kind_of_list_are_counted_together() {
    let changes = Crowd::new(2, 2).vanish(2, 2);
    assert!(matches!(changes[..], [Change::Opened { turned: 4, living: 4, .. }]), "{changes:?}");
    assert_eq!(Crowd::new(10, 10).vanish(4, 4), [], "neither half of each nor of all");
}

#[test]
fn both_kinds_at_once_open_it_once() {
    assert_eq!(Crowd::new(8, 8).vanish(8, 8).len(), 1);
}

#[test]
fn of_any_other_neighbour_everybody_is_counted_together() {
    let left = Evidence { room_member: RoomMember::NotJoined { since: None }, ..Evidence::NONE };
    let left = judge(&membership(), &left, &Policy::default(), START);
    let later = START + Duration::from_mins(1);
    assert_eq!(Crowd::new(8, 100).look(8, 0, &left, later), []);
    let changes = Crowd::new(2, 2).look(1, 2, &left, later);
    let [Change::Opened { neighbour, turned, living, .. }] = changes[..] else { panic!("{changes:?}") };
    assert_eq!((neighbour, turned, living), (Neighbour::Homeserver, 3, 4));
}

#[test]
fn who_left_or_is_there_again_is_counted_no_more_by_its_kind() {
    let mut crowd = Crowd::new(6, 100);
    let soon = START + Duration::from_secs(20);
    // Two vanish and are there again; then two others vanish, which are not half of six.
    assert_eq!(crowd.look(2, 0, &judgements().1, soon), []);
    assert_eq!(crowd.look(0, 0, &judgements().1, soon + Duration::from_secs(10)), []);
    crowd.ours.reverse();
    assert_eq!(crowd.look(2, 0, &judgements().1, soon + Duration::from_secs(20)), []);
    // Two leave; another one is three of four within a minute.
    crowd.ours.drain(4..);
    let changes = crowd.look(3, 0, &judgements().1, soon + Duration::from_secs(30));
    assert!(matches!(changes[..], [Change::Opened { turned: 3, living: 4, .. }]), "{changes:?}");
}
