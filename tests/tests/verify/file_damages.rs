//! Damage to files, and to what is said of them.

use super::damages::{Case, case};

const NAMED: &str = "attachments: entries name what their bytes say";
const PENDING: &str = "attachments: evidence is pending where it has not arrived";
const WHOLE: &str = "attachments: files are whole";

/// All of it. The call attempt of the story names two files, the first in two pieces.
pub const FILES: &[Case] = &[
    case(
        NAMED,
        "entry_attachment",
        &[
            "update entry_attachment set position = position + 2",
            "update entry_attachment set device_id = (select max(id) from device)",
            "update entry_attachment set sha256 = (select sha256 from attachment where size_bytes = 1)",
            "update entry_attachment set size_bytes = size_bytes + 1",
            "update entry_attachment set mime = 'text/html'",
            "update entry_attachment set kind = 'SIGNATURE'",
            "delete from entry_attachment where position = 1",
            "delete from entry_attachment",
            "update entry_attachment set entry_uid = (select uid from agent)",
        ],
    ),
    case(
        PENDING,
        "entry_attachment",
        &[
            "delete from attachment; delete from attachment_upload",
            "update attachment_upload set complete_at = null",
            "update attachment_upload set size_bytes = size_bytes + 1",
            "update attachment_upload set device_id = (select max(id) from device)",
        ],
    ),
    case(
        PENDING,
        "entry",
        &[
            "update entry_attachment set arrived_at = null where position = 1",
            "update entry set flags = 'EVIDENCE_PENDING' where uid in (select entry_uid from entry_attachment)",
        ],
    ),
    case(
        WHOLE,
        "attachment",
        &[
            "update attachment set size_bytes = size_bytes + 1",
            "update attachment set sha256 = (select hash from audit where seq = 1) where size_bytes = 1",
            "delete from attachment_chunk where first_byte > 0",
            "delete from attachment_chunk where first_byte = 0",
            "update attachment_chunk set first_byte = first_byte + 1 where first_byte > 0",
            "update attachment_chunk set bytes = (select sha256 from attachment where size_bytes = 1)",
        ],
    ),
    case(WHOLE, "attachment_upload", &["delete from attachment where size_bytes = 1"]),
];
