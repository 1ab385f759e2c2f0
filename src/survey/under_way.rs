//! A survey under way: a few hundred rooms at a time are read, and what is open there is judged before the next, so
//! that one that is cut short has found something.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, future::BoxFuture, stream};
use rtc_janitor_core::{
    ids::{DeviceId, UserId},
    rtc::state_event::CALL_MEMBER,
    survey::{self, Cut, Listed, Progress, Scope, SurveyedRoom, Way},
    time::Timestamp,
};

use super::{
    SurveyError, Surveyor, Tell, is_for_all, is_unknown,
    lists::Lists,
    pace::{AT_ONCE, GIVEN_UP, MOST_GIVEN_UP, Pace},
    scope::InScope,
};
use crate::world::NeighbourError;

/// How many rooms are read before those with open memberships among them are judged.
const AT_A_TIME: usize = 200;

/// Whose open memberships there are, and on which devices.
pub(super) type Owners = BTreeMap<UserId, BTreeSet<DeviceId>>;

/// A room with open memberships, and whose they are.
pub(super) type OpenRoom = (Listed, Owners);

/// Something that is asked of the server, and what the answer is worth.
pub(super) type Question<'a, T> = BoxFuture<'a, Result<T, SurveyError>>;

/// What was found so far.
#[derive(Default)]
pub(super) struct Found {
    /// Of how many rooms all is known that is to be known.
    pub(super) looked_at: usize,
    /// How many there are to look at, once that is known.
    pub(super) of: Option<usize>,
    pub(super) rooms: Vec<SurveyedRoom>,
    /// Those that could not be read, with why.
    pub(super) unread: Vec<(Listed, String)>,
    /// Why not all device lists were read, where they were not.
    pub(super) without_lists: Option<String>,
}

/// A survey under way.
pub(super) struct UnderWay<'a> {
    pub(super) with: Surveyor<'a>,
    pub(super) pace: Pace,
    pub(super) tell: Tell<'a>,
}

/// How many rooms were read, and how many of these have open memberships.
#[derive(Default)]
struct Read {
    done: usize,
    open: usize,
}

impl<'a> UnderWay<'a> {
    pub(super) fn new(with: Surveyor<'a>, tell: Tell<'a>) -> Self {
        Self { with, pace: Pace::new(), tell }
    }

    /// Looks through the rooms. Whatever it comes to know is in `found` at once; why that is not all, where it is not.
    pub(super) async fn look(&self, scope: &Scope, found: &mut Found) -> Result<Option<Cut>, SurveyError> {
        let InScope { rooms, unread, cut } = self.in_scope(scope).await?;
        let missing = if let Some(Cut::NotListed(missing)) = cut { missing } else { 0 };
        found.of = Some(rooms.len() + unread.len() + missing);
        for (listed, why) in unread {
            found.could_not_read(listed, why);
        }
        let (of, mut read, mut lists) = (rooms.len(), Read::default(), Lists::default());
        let mut rooms = rooms.into_iter();
        loop {
            let some: Vec<_> = rooms.by_ref().take(AT_A_TIME).collect();
            if some.is_empty() {
                return Ok(cut);
            }
            let open = self.find_open(some, of, &mut read, found).await?;
            self.learn_lists(&mut lists, &open, found).await?;
            self.judge(open, &lists, found).await?;
        }
    }

    /// Which of some rooms have open memberships.
    async fn find_open(
        &self,
        rooms: Vec<Listed>,
        of: usize,
        read: &mut Read,
        found: &mut Found,
    ) -> Result<Vec<OpenRoom>, SurveyError> {
        let questions = rooms.into_iter().map(|listed| {
            Box::pin(async move {
                let question = || self.with.admin.room_state(&listed.room, Some(CALL_MEMBER));
                let state = self.pace.ask(question).await;
                if state.as_ref().is_err_and(is_unknown) {
                    // It was deleted since it was listed, and whatever stood there with it.
                    return Ok((listed, Ok(Owners::new())));
                }
                let state = self.readable(state).await?;
                let owners = state
                    .and_then(|state| survey::owners(&state, self.now()).map_err(|error| error.to_string()));
                Ok((listed, owners))
            }) as Question<'_, (Listed, Result<Owners, String>)>
        });
        let mut open = Vec::new();
        few_at_a_time(questions.collect(), |(listed, owners)| {
            read.done += 1;
            match owners {
                Ok(owners) if owners.is_empty() => found.looked_at += 1,
                Ok(owners) => {
                    read.open += 1;
                    open.push((listed, owners));
                }
                Err(why) => found.could_not_read(listed, why),
            }
            (self.tell)(Progress::Rooms { done: read.done, of, open: read.open });
        })
        .await?;
        Ok(open)
    }

    /// Reads the whole state of rooms with open memberships and judges it.
    async fn judge(&self, open: Vec<OpenRoom>, lists: &Lists, found: &mut Found) -> Result<(), SurveyError> {
        let questions = open.into_iter().map(|(listed, owners)| {
            Box::pin(async move {
                let state = self.pace.ask(|| self.with.admin.room_state(&listed.room, None)).await;
                if state.as_ref().is_err_and(is_unknown) {
                    return Ok((listed, Ok(None)));
                }
                let state = self.readable(state).await?;
                let mut room =
                    state.and_then(|state| self.with.read(listed.clone(), state, lists.of(&owners)));
                if let Ok(room) = &mut room {
                    self.look_at_successor(room).await?;
                }
                Ok((listed, room.map(Some)))
            }) as Question<'_, (Listed, Result<Option<SurveyedRoom>, String>)>
        });
        few_at_a_time(questions.collect(), |(listed, room)| match room {
            Ok(room) => {
                found.looked_at += 1;
                // Everybody may have left since.
                found.rooms.extend(room.filter(|room| !room.memberships.is_empty()));
            }
            Err(why) => found.could_not_read(listed, why),
        })
        .await
    }

    /// Whether the bot is in the successor of a room already. Where that cannot be read, it is proposed to go there.
    async fn look_at_successor(&self, room: &mut SurveyedRoom) -> Result<(), SurveyError> {
        let Way::Successor(successor) = &room.way else { return Ok(()) };
        let question = || self.with.admin.room_state(successor, Some("m.room.member"));
        let members = self.readable(self.pace.ask(question).await).await?;
        if members.is_ok_and(|members| survey::is_joined(&members, &self.with.settings.user_id)) {
            room.has_come_to_successor();
        }
        Ok(())
    }

    /// What an answer is worth: what concerns one room or user alone is a value, all else ends the survey.
    pub(super) async fn readable<T>(
        &self,
        answer: Result<T, NeighbourError>,
    ) -> Result<Result<T, String>, SurveyError> {
        match answer {
            Ok(value) => Ok(Ok(value)),
            Err(error) if is_for_all(&error) => Err(SurveyError::Refused(error)),
            Err(error) if self.is_gone().await => Err(SurveyError::Unreachable(error)),
            Err(error) => Ok(Err(error.to_string())),
        }
    }

    /// Whether it is the server that does not answer, and not the rooms that it was asked about: some states cannot be
    /// read from its database, ever.
    async fn is_gone(&self) -> bool {
        match self.pace.given_up() {
            ..GIVEN_UP => false,
            GIVEN_UP..MOST_GIVEN_UP => self.with.admin.rooms(0, 1).await.is_err(),
            MOST_GIVEN_UP.. => true,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.with.clock.now()
    }
}

impl Found {
    fn could_not_read(&mut self, listed: Listed, why: String) {
        self.looked_at += 1;
        self.unread.push((listed, why));
    }
}

/// Asks a few at a time, and takes in the answers as they come.
pub(super) async fn few_at_a_time<T: Send>(
    questions: Vec<Question<'_, T>>,
    mut take_in: impl FnMut(T) + Send,
) -> Result<(), SurveyError> {
    let mut answers = stream::iter(questions).buffer_unordered(AT_ONCE);
    while let Some(answer) = answers.next().await {
        take_in(answer?);
    }
    Ok(())
}
