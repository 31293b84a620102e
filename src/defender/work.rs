//! A desk at work, as triage sees it: every read and write takes the fewest
//! calls its family offers.

use crate::defender::cloud::Family;
use crate::defender::desk::{DeskFault, FamilyDesk};
use crate::defender::{batch_read, batch_update, batch_write, id_list};
use crate::triage::{Change, Desk, Receipt, State, Target};

impl Desk for FamilyDesk {
    type Error = DeskFault;

    async fn read(&self, target: &Target) -> Result<State, DeskFault> {
        self.read_one(target).await
    }

    async fn read_many(&self, targets: &[Target]) -> Vec<Result<State, DeskFault>> {
        match self.client().family() {
            Family::Graph if targets.len() > 1 => batch_read::read_all(self, targets).await,
            Family::Mde if targets.len() > 1 => id_list::read_all(self, targets).await,
            _ => self.read_singly(targets).await,
        }
    }

    async fn write(
        &self,
        targets: &[Target],
        change: &Change,
        marker: &str,
    ) -> Vec<Result<Receipt, DeskFault>> {
        match self.client().family() {
            Family::Graph if targets.len() > 1 => {
                batch_write::write_all(self, targets, change, marker).await
            }
            Family::Mde if targets.len() >= batch_update::LEAST => {
                batch_update::write_all(self, targets, change, marker).await
            }
            _ => self.write_singly(targets, change, marker).await,
        }
    }
}
