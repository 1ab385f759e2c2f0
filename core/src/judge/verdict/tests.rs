//! Judgements made by hand, for the tests of what is done with them.

use super::*;

/// A judgement in which exactly these findings were made.
pub(crate) fn judgement(made: &[(Reason, Finding)]) -> Judgement {
    let mut findings = [Finding::No; 7];
    for (reason, finding) in made {
        findings[*reason as usize] = *finding;
    }
    let strongest = Reason::ALL.into_iter().find(|r| matches!(findings[*r as usize], Finding::Holds { .. }));
    let verdict = strongest.map_or(Verdict::Active, Verdict::Stale);
    Judgement { verdict, vetoed: false, findings }
}
