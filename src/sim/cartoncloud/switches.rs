//! What nobody has confirmed about CartonCloud, or what differs between tenants.
//!
//! The words are what `--switch cartoncloud.order-put=enabled` takes.

use crate::sim::site::switches::switches;
pub use crate::sim::site::switches::{SwitchError, SwitchHelp};

switches! {
    order_put: OrderPut = "order-put", "PUT of a sale order" {
        Absent = "405": "405, as documented today",
        Missing = "404": "404",
        Unimplemented = "501": "501",
        Enabled = "enabled": "If-Match, then the body is merged",
        RewritesItems = "rewrites-items": "enabled, but the lines come back with other ids",
    }
    consignments: Consignments = "consignments", "what a packed order generates" {
        Fulfilment = "warehouse_fulfilment": "a Warehouse Fulfilment whose items are the packages",
        Transport = "transport": "a DELIVERY consignment",
        Both = "both": "one of each",
        None = "none": "nothing",
    }
    consignment_at: ConsignmentAt = "consignment-at", "when consignments are generated" {
        Packed = "packed": "when the order is packed (or dispatched without)",
        Dispatched = "dispatched": "when the order is dispatched",
    }
    consignment_put: ConsignmentPut = "consignment-put", "members that a PUT leaves out" {
        Merge = "merge": "stay",
        Replace = "replace": "are gone",
    }
    stale: Stale = "stale", "answer to an If-Match that does not match" {
        Precondition = "412": "412",
        Conflict = "409": "409",
    }
    if_match: IfMatch = "if-match", "PUT without If-Match" {
        Optional = "optional": "is done",
        Required = "required": "412",
    }
    packed: Packed = "packed", "the status PACKED" {
        Used = "used": "orders stay in it",
        Skipped = "skipped": "an order that would be PACKED is DISPATCHED at once",
    }
    packed_stamp: PackedStamp = "packed-stamp", "timestamps.packed of an order that skipped PACKED" {
        Set = "set": "is set",
        Absent = "absent": "is missing",
    }
    status_search: StatusSearch = "status-search", "JsonField /status in a search" {
        Yes = "yes": "works",
        No = "no": "400",
    }
    guessed_search: GuessedSearch = "guessed-search", "pointers that the documentation does not list (numericId, requiredDate, warehouse, properties)" {
        Yes = "yes": "work",
        No = "no": "400",
    }
    sort: Sort = "sort", "order of search results" {
        Created = "created": "oldest first",
        Modified = "modified-desc": "last modified first: results move while orders change",
    }
    paging_headers: PagingHeaders = "paging-headers", "Total-Pages and its kin" {
        Sent = "sent": "are sent",
        Absent = "absent": "are missing",
    }
    header_case: HeaderCase = "header-case", "names of response headers" {
        Title = "title": "Total-Pages",
        Lower = "lower": "total-pages",
    }
    numbers: Numbers = "numbers", "decimals" {
        Numbers = "numbers": "are JSON numbers",
        Strings = "strings": "are strings such as \"1.000\"",
    }
    city: City = "city", "suburb and city of an address" {
        Both = "both": "are there",
        Missing = "missing": "suburb alone",
        Only = "only": "city alone",
    }
    state: State = "state", "state of an address" {
        Object = "object": "has code and name",
        Text = "text": "is the code as text",
    }
    documents_page: DocumentsPage = "documents-page", "documents on one page of the list" {
        AsAsked = "asked": "as asked, 50 by default",
        Two = "2": "never more than two",
    }
    retry_after: RetryAfter = "retry-after", "Retry-After on the rate limits' 429" {
        Sent = "sent": "is sent, in seconds",
        Absent = "absent": "is missing",
    }
    bad_client: BadClient = "bad-client", "answer to wrong client credentials" {
        Array = "array": "401 with the usual array",
        Spring = "spring": "401 with {\"error\":\"invalid_client\"}",
    }
    bad_tenant: BadTenant = "bad-tenant", "a tenant that the client does not belong to" {
        Forbidden = "403": "403",
        Missing = "404": "404",
    }
    token_lifetime: TokenLifetime = "token-lifetime", "expires_in of tokens" {
        Hour = "3600s": "an hour",
        Minute = "60s": "a minute",
        Five = "5s": "five seconds",
        One = "1s": "a second",
    }
    tracking_field: TrackingField = "tracking-field", "custom fields whose names begin with carrier" {
        Public = "public": "seen and written by anybody",
        Internal = "internal": "only with the role Internal Field Access",
    }
    warehouses: Warehouses = "warehouses", "GET /warehouses, which is not documented" {
        Absent = "absent": "404",
        Listed = "listed": "lists them",
    }
    role_wms_create: RoleWmsCreate = "role-wms-create-job", "role WMS Create Job" {
        Granted = "granted": "granted",
        Missing = "missing": "missing: no sale orders",
    }
    role_tms_view: RoleTmsView = "role-tms-view-jobs", "role TMS View Jobs" {
        Granted = "granted": "granted",
        Missing = "missing": "missing, but implied by TMS Create Jobs",
    }
    role_tms_create: RoleTmsCreate = "role-tms-create-jobs", "role TMS Create Jobs" {
        Granted = "granted": "granted",
        Missing = "missing": "missing: consignments cannot be changed",
    }
    role_product: RoleProduct = "role-wms-edit-product", "role WMS Edit Product" {
        Granted = "granted": "granted",
        Missing = "missing": "missing: no products",
    }
    role_internal: RoleInternal = "role-internal-fields", "role Internal Field Access" {
        Granted = "granted": "granted",
        Missing = "missing": "missing: internal custom fields do not exist",
    }
}
