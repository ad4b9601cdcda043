//! The tables of the three schemas, as the migrations make them; what each is for is said there.
//! Tables and columns that only set-based statements use are missing.

/// `skald_orchestrator`.
pub(super) mod orchestrator {
    diesel::table! {
        skald_orchestrator.installation (id) {
            id -> Integer,
            shards -> Integer,
        }
    }

    diesel::table! {
        skald_orchestrator.shards (shard) {
            shard -> Integer,
            epoch -> BigInt,
            last_seq -> BigInt,
            commands_mark -> BigInt,
            events_mark -> BigInt,
        }
    }

    diesel::table! {
        skald_orchestrator.history (shard, seq) {
            seq -> BigInt,
            sequence -> BigInt,
            at -> Timestamptz,
            shard -> Integer,
            format -> Integer,
            saga -> Uuid,
            event -> Json,
        }
    }

    diesel::table! {
        skald_orchestrator.sagas (id) {
            id -> Uuid,
            version -> BigInt,
            due_at -> Nullable<Timestamptz>,
            created_at -> Timestamptz,
            updated_at -> Timestamptz,
            shard -> Integer,
            definition_version -> Integer,
            format -> Integer,
            definition -> Text,
            status -> Text,
            business_key -> Text,
            state -> Json,
        }
    }

    diesel::table! {
        skald_orchestrator.saga_counts (shard, definition, status) {
            shard -> Integer,
            definition -> Text,
            status -> Text,
            count -> BigInt,
        }
    }

    diesel::table! {
        skald_orchestrator.orders (id) {
            id -> Uuid,
            saga -> Uuid,
            total -> BigInt,
            created_at -> Timestamptz,
            updated_at -> Timestamptz,
            user_id -> Text,
            status -> Text,
            currency -> Text,
            email -> Nullable<Text>,
            reason_code -> Nullable<Text>,
            reason_text -> Nullable<Text>,
        }
    }

    diesel::table! {
        skald_orchestrator.order_items (order_id, line) {
            order_id -> Uuid,
            line -> Integer,
            quantity -> BigInt,
            price -> BigInt,
            product -> Text,
        }
    }

    diesel::table! {
        skald_orchestrator.order_counts (shard, status) {
            shard -> Integer,
            status -> Text,
            count -> BigInt,
        }
    }

    diesel::table! {
        skald_orchestrator.cancellation_counts (shard, code) {
            shard -> Integer,
            code -> Text,
            count -> BigInt,
        }
    }

    diesel::table! {
        skald_orchestrator.idempotency_keys (key) {
            key -> Text,
            fingerprint -> Binary,
            order_id -> Uuid,
            taken_at -> Timestamptz,
            answer -> Text,
        }
    }

    diesel::table! {
        skald_orchestrator.saga_inputs (id) {
            id -> Uuid,
            saga -> Uuid,
            if_version -> Nullable<BigInt>,
            at -> Timestamptz,
            shard -> Integer,
            client_key -> Text,
            request -> Json,
            outcome -> Nullable<Json>,
        }
    }

    diesel::table! {
        skald_orchestrator.audit_log (id) {
            id -> BigInt,
            at -> Timestamptz,
            saga -> Uuid,
            input -> Uuid,
            who -> Text,
            action -> Text,
            note -> Text,
        }
    }

    diesel::table! {
        skald_orchestrator.dead_letters (id) {
            id -> Uuid,
            at -> Timestamptz,
            message_id -> Text,
            queue -> Text,
            routing_key -> Text,
            reason -> Text,
            headers -> Json,
            body -> Binary,
            state -> Text,
            saga -> Nullable<Uuid>,
        }
    }

    diesel::table! {
        skald_orchestrator.letter_decisions (id) {
            id -> Uuid,
            letter -> Uuid,
            at -> Timestamptz,
            due_at -> Nullable<Timestamptz>,
            action -> Text,
            who -> Text,
            note -> Text,
            outcome -> Nullable<Text>,
            client_key -> Nullable<Text>,
        }
    }

    diesel::allow_tables_to_appear_in_same_query!(sagas, history);
}

/// `skald_inventory`.
pub(super) mod inventory {
    diesel::table! {
        skald_inventory.products (id) {
            id -> Text,
            on_hand -> BigInt,
            reserved -> BigInt,
        }
    }
}

/// `skald_notification`.
pub(super) mod notification {
    diesel::table! {
        skald_notification.notification_counts (outcome, slot) {
            outcome -> Text,
            slot -> Integer,
            count -> BigInt,
        }
    }
}
