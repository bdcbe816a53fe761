//! Roles, and what each may do: one table.

use daybook_shared::board::BoardRole;

use crate::spelled::spelled;

spelled! {
    /// A role is held at a unit and reaches the units below it.
    Role {
        /// Visits customers and takes cash.
        Officer = "officer",
        /// Calls customers.
        CallOfficer = "call_officer",
        /// Leads officers: assigns cases, decides on what was held.
        Supervisor = "supervisor",
        /// Counts cash.
        Cashier = "cashier",
        /// Reads everything, writes nothing.
        Auditor = "auditor",
        /// Keeps users, devices and units; sees no case and moves no money.
        Admin = "admin",
        /// Serves customers in a shop: takes orders, helps them through their instalments.
        ShopStaff = "shop_staff",
        /// Makes offers and campaigns, and looks after the providers.
        PartnerManager = "partner_manager",
        /// Pays out, and reconciles.
        Finance = "finance",
        /// Says who is approved.
        Risk = "risk",
        /// Buys on instalments. It is nobody's to give: a customer's own login has it, for what is his own.
        Customer = "customer",
    }
}

use Role::{
    Admin, Auditor, CallOfficer, Cashier, Customer, Finance, Officer, PartnerManager, Risk, ShopStaff, Supervisor,
};

/// In which capacity someone with these roles edits boards: the one that owns most. Whoever goes to
/// the field orders his own stops, so an officer stays one, whatever else he is.
pub fn board_role(roles: impl IntoIterator<Item = Role>) -> BoardRole {
    let capacity = |role| match role {
        Supervisor => Some(BoardRole::Supervisor),
        Officer => Some(BoardRole::Officer),
        CallOfficer => Some(BoardRole::CallOfficer),
        Cashier | Auditor | Admin | ShopStaff | PartnerManager | Finance | Risk | Customer => None,
    };
    let held: Vec<_> = roles.into_iter().filter_map(capacity).collect();
    let best = [BoardRole::Supervisor, BoardRole::Officer, BoardRole::CallOfficer];
    best.into_iter().find(|role| held.contains(role)).unwrap_or(BoardRole::Officer)
}

/// Something a role may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Create users, give roles, deactivate.
    ManageUsers,
    /// See users.
    ReadUsers,
    /// Hand out enrolment codes, retire devices, report them lost.
    ManageDevices,
    /// See devices.
    ReadDevices,
    /// Add units.
    ManageUnits,
    /// See units.
    ReadUnits,
    /// Make caseloads and say who holds them.
    ManageCaseloads,
    /// See caseloads.
    ReadCaseloads,
    /// See the audit trail.
    ReadAudit,
    /// Let payouts and exports go on after a part of the database was lost.
    ConfirmRecoveries,
    /// See cases: facts, entries, boards.
    ReadCases,
    /// Edit boards online.
    EditBoards,
    /// Give a case to a caseload.
    AssignCases,
    /// See what was held and quarantined.
    ReadHeld,
    /// Decide on what was held and quarantined.
    ReviewHeld,
    /// Reverse a payment.
    ReversePayments,
    /// Count handed-over cash.
    CountCash,
    /// Read reports.
    ReadReports,
    /// Take over accounts, post payments recorded elsewhere and statements.
    ImportRecords,
    /// See orders to erase customers.
    ReadErasures,
    /// Propose to erase a customer.
    ProposeErasures,
    /// Decide on what another proposed to erase.
    ApproveErasures,
    /// See a customer's own journey: his orders, offers, applications, plans, payments. His own, or for staff
    /// one customer's, who is named.
    ReadJourney,
    /// Go on with it: as himself, or for staff in his name.
    WriteJourney,
    /// Find a customer by his phone number.
    FindCustomers,
    /// Make a customer of somebody who has not the app.
    RegisterCustomers,
    /// Take orders over from a shop's system.
    ImportOrders,
    /// See all offers, whoever they are for.
    ReadOffers,
    /// Write offers and put them into force.
    ManageOffers,
    /// Say who is approved.
    SetPolicy,
    /// Decide on returns of goods.
    DecideReturns,
    /// See money that goes out, and what the ledger has on an event.
    ReadFinance,
    /// Pay refunds out.
    PayRefunds,
    /// See complaints.
    ReadComplaints,
    /// Answer and decide complaints.
    HandleComplaints,
    /// Read the journey's figures, reports and campaigns.
    ReadAnalytics,
    /// Freeze a report.
    FreezeReports,
    /// Make campaigns.
    ManageCampaigns,
}

impl Permission {
    /// All permissions.
    pub const ALL: &'static [Self] = &[
        Self::ManageUsers,
        Self::ReadUsers,
        Self::ManageDevices,
        Self::ReadDevices,
        Self::ManageUnits,
        Self::ReadUnits,
        Self::ManageCaseloads,
        Self::ReadCaseloads,
        Self::ReadAudit,
        Self::ConfirmRecoveries,
        Self::ReadCases,
        Self::EditBoards,
        Self::AssignCases,
        Self::ReadHeld,
        Self::ReviewHeld,
        Self::ReversePayments,
        Self::CountCash,
        Self::ReadReports,
        Self::ImportRecords,
        Self::ReadErasures,
        Self::ProposeErasures,
        Self::ApproveErasures,
        Self::ReadJourney,
        Self::WriteJourney,
        Self::FindCustomers,
        Self::RegisterCustomers,
        Self::ImportOrders,
        Self::ReadOffers,
        Self::ManageOffers,
        Self::SetPolicy,
        Self::DecideReturns,
        Self::ReadFinance,
        Self::PayRefunds,
        Self::ReadComplaints,
        Self::HandleComplaints,
        Self::ReadAnalytics,
        Self::FreezeReports,
        Self::ManageCampaigns,
    ];

    /// The roles that have it.
    pub const fn roles(self) -> &'static [Role] {
        match self {
            Self::ManageUsers | Self::ManageUnits | Self::ConfirmRecoveries => &[Admin],
            Self::ReadUsers | Self::ReadDevices | Self::ReadCaseloads => &[Supervisor, Auditor, Admin],
            Self::ManageDevices | Self::ManageCaseloads => &[Supervisor, Admin],
            Self::ReadUnits => {
                &[Officer, CallOfficer, Supervisor, Cashier, Auditor, Admin, ShopStaff, PartnerManager, Finance, Risk]
            }
            Self::ReadAudit => &[Auditor, Admin],
            Self::ReadCases => &[Officer, CallOfficer, Supervisor, Auditor],
            Self::EditBoards => &[Officer, CallOfficer, Supervisor],
            Self::AssignCases
            | Self::ReviewHeld
            | Self::ReversePayments
            | Self::ImportRecords
            | Self::ApproveErasures => &[Supervisor],
            Self::ReadHeld | Self::ReadErasures => &[Supervisor, Auditor],
            Self::ProposeErasures | Self::HandleComplaints => &[CallOfficer, Supervisor],
            Self::CountCash => &[Cashier],
            Self::ReadReports => &[Supervisor, Cashier, Auditor],
            Self::ReadJourney => &[Customer, Officer, CallOfficer, ShopStaff, Supervisor, Auditor],
            Self::WriteJourney => &[Customer, Officer, CallOfficer, ShopStaff],
            Self::FindCustomers => &[Officer, CallOfficer, ShopStaff, Supervisor, Auditor],
            Self::RegisterCustomers => &[CallOfficer, ShopStaff],
            Self::ImportOrders | Self::DecideReturns => &[ShopStaff, PartnerManager],
            Self::ReadOffers | Self::ReadAnalytics => &[PartnerManager, Finance, Risk, Auditor],
            Self::ManageOffers | Self::ManageCampaigns => &[PartnerManager],
            Self::SetPolicy => &[Risk],
            Self::ReadFinance => &[Finance, Auditor],
            Self::PayRefunds => &[Finance],
            Self::ReadComplaints => &[CallOfficer, Supervisor, Auditor],
            Self::FreezeReports => &[PartnerManager, Finance, Risk],
        }
    }

    /// Whether it changes anything.
    pub const fn writes(self) -> bool {
        match self {
            Self::ManageUsers
            | Self::ManageDevices
            | Self::ManageUnits
            | Self::ManageCaseloads
            | Self::ConfirmRecoveries
            | Self::EditBoards
            | Self::AssignCases
            | Self::ReviewHeld
            | Self::ReversePayments
            | Self::CountCash
            | Self::ImportRecords
            | Self::ProposeErasures
            | Self::ApproveErasures
            | Self::WriteJourney
            | Self::RegisterCustomers
            | Self::ImportOrders
            | Self::ManageOffers
            | Self::SetPolicy
            | Self::DecideReturns
            | Self::PayRefunds
            | Self::HandleComplaints
            | Self::FreezeReports
            | Self::ManageCampaigns => true,
            Self::ReadUsers
            | Self::ReadDevices
            | Self::ReadUnits
            | Self::ReadCaseloads
            | Self::ReadAudit
            | Self::ReadCases
            | Self::ReadHeld
            | Self::ReadReports
            | Self::ReadErasures
            | Self::ReadJourney
            | Self::FindCustomers
            | Self::ReadOffers
            | Self::ReadFinance
            | Self::ReadComplaints
            | Self::ReadAnalytics => false,
        }
    }
}

impl Role {
    /// Whether somebody gives it to a user. A customer has his by being one.
    pub const fn is_given(self) -> bool {
        !matches!(self, Customer)
    }

    /// Whether the role has this permission.
    pub fn may(self, permission: Permission) -> bool {
        permission.roles().contains(&self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_auditor_reads_all_and_writes_nothing() {
        for permission in Permission::ALL {
            assert_eq!(Auditor.may(*permission), !permission.writes(), "{permission:?}");
        }
    }

    #[test]
    fn the_admin_neither_sees_cases_nor_moves_money() {
        use Permission as P;
        for permission in
            [P::ReadCases, P::EditBoards, P::ReadHeld, P::ReviewHeld, P::ReversePayments, P::CountCash, P::ReadReports]
        {
            assert!(!Admin.may(permission), "{permission:?}");
        }
    }
}
