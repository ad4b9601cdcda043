//! The tables of the three files, as the migrations make them; what each is for is said there.

/// `orchestrator.db`.
pub(super) mod orchestrator {
    diesel::table! {
        installation (id) {
            id -> BigInt,
            shards -> BigInt,
        }
    }

    diesel::table! {
        shards (shard) {
            shard -> BigInt,
            epoch -> BigInt,
            last_seq -> BigInt,
            commands_mark -> BigInt,
            events_mark -> BigInt,
            owner -> Nullable<Binary>,
        }
    }

    diesel::table! {
        nodes (id) {
            id -> Binary,
            name -> Text,
            url -> Text,
            started_at -> BigInt,
            lease_until -> BigInt,
        }
    }

    diesel::table! {
        history (position) {
            position -> BigInt,
            saga -> Binary,
            sequence -> BigInt,
            at -> BigInt,
            format -> BigInt,
            event -> Text,
        }
    }

    diesel::table! {
        sagas (birth) {
            birth -> BigInt,
            id -> Binary,
            shard -> BigInt,
            definition -> Text,
            definition_version -> BigInt,
            business_key -> Text,
            status -> Text,
            version -> BigInt,
            due_at -> Nullable<BigInt>,
            created_at -> BigInt,
            updated_at -> BigInt,
            format -> BigInt,
            state -> Text,
        }
    }

    diesel::table! {
        saga_counts (definition, status) {
            definition -> Text,
            status -> Text,
            count -> BigInt,
        }
    }

    diesel::table! {
        orders (id) {
            id -> Binary,
            saga -> Binary,
            user_id -> Text,
            email -> Nullable<Text>,
            currency -> Text,
            total -> BigInt,
            status -> Text,
            reason_code -> Nullable<Text>,
            reason_text -> Nullable<Text>,
            created_at -> BigInt,
            updated_at -> BigInt,
        }
    }

    diesel::table! {
        order_items (order_id, line) {
            order_id -> Binary,
            line -> BigInt,
            product -> Text,
            quantity -> BigInt,
            price -> BigInt,
        }
    }

    diesel::table! {
        order_counts (status) {
            status -> Text,
            count -> BigInt,
        }
    }

    diesel::table! {
        cancellation_counts (code) {
            code -> Text,
            count -> BigInt,
        }
    }

    diesel::table! {
        idempotency_keys (key) {
            key -> Text,
            fingerprint -> Binary,
            order_id -> Binary,
            answer -> Text,
            taken_at -> BigInt,
        }
    }

    diesel::table! {
        saga_inputs (id) {
            id -> Binary,
            saga -> Binary,
            shard -> BigInt,
            client_key -> Text,
            request -> Text,
            if_version -> Nullable<BigInt>,
            at -> BigInt,
            outcome -> Nullable<Text>,
        }
    }

    diesel::table! {
        audit_log (id) {
            id -> BigInt,
            at -> BigInt,
            who -> Text,
            action -> Text,
            saga -> Binary,
            note -> Text,
            input -> Binary,
        }
    }

    diesel::table! {
        dead_letters (id) {
            id -> Binary,
            message_id -> Text,
            queue -> Text,
            routing_key -> Text,
            reason -> Text,
            headers -> Text,
            body -> Binary,
            at -> BigInt,
            state -> Text,
            saga -> Nullable<Binary>,
        }
    }

    diesel::table! {
        letter_decisions (id) {
            id -> Binary,
            letter -> Binary,
            at -> BigInt,
            due_at -> Nullable<BigInt>,
            action -> Text,
            who -> Text,
            note -> Text,
            outcome -> Nullable<Text>,
            client_key -> Nullable<Text>,
        }
    }

    diesel::allow_tables_to_appear_in_same_query!(sagas, history);
}

/// `inventory.db`.
pub(super) mod inventory {
    diesel::table! {
        products (id) {
            id -> Text,
            on_hand -> BigInt,
            reserved -> BigInt,
        }
    }

    diesel::table! {
        reservations (saga, step, product) {
            saga -> Binary,
            step -> Text,
            product -> Text,
            quantity -> BigInt,
        }
    }
}

/// `notification.db`.
pub(super) mod notification {
    diesel::table! {
        notifications (key) {
            key -> Text,
            order_id -> Text,
            template -> Text,
            recipient -> Nullable<Text>,
            outcome -> Text,
            at -> BigInt,
        }
    }

    diesel::table! {
        notification_counts (outcome) {
            outcome -> Text,
            count -> BigInt,
        }
    }
}

/// What `inventory.db` and `notification.db` have in common.
pub(super) mod worker {
    diesel::table! {
        work_records (saga, step) {
            saga -> Binary,
            step -> Text,
            record -> Text,
        }
    }
}
