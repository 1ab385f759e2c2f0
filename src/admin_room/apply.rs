//! `apply`: what ✅ does, by name.

use rtc_janitor_core::command::PlanId;

use super::front_desk::{Asked, Gone, Reply, approve};
use crate::janitor::plans::Which;

pub(super) async fn answer(asked: &Asked<'_>, plan: PlanId) -> Result<Reply, Gone> {
    approve(asked, Which::Named(plan)).await
}
