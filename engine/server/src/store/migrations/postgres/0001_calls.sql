-- Calls, what happened and what was said in them.

CREATE TABLE calls (
    id TEXT PRIMARY KEY,
    direction TEXT NOT NULL,
    state TEXT NOT NULL,
    from_number TEXT NOT NULL,
    to_number TEXT NOT NULL,
    provider_call_id TEXT,
    -- Who holds the call, while it is live.
    server TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at BIGINT,
    end_reason TEXT,
    duration_ms BIGINT,
    turns BIGINT NOT NULL,
    interruptions BIGINT NOT NULL,
    takeovers BIGINT NOT NULL,
    metadata TEXT NOT NULL,
    recording_path TEXT,
    recording_format TEXT,
    recording_encrypted BIGINT,
    recording_bytes BIGINT
);
CREATE INDEX calls_by_time ON calls (started_at, id);
CREATE INDEX calls_by_state ON calls (state, started_at, id);
CREATE INDEX calls_by_from ON calls (from_number);
CREATE INDEX calls_by_to ON calls (to_number);

CREATE TABLE events (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    call_id TEXT NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    seq BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    json TEXT NOT NULL,
    UNIQUE (call_id, seq)
);

-- The latency of each answer.
CREATE TABLE answers (
    call_id TEXT NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    total_ms BIGINT NOT NULL,
    PRIMARY KEY (call_id, seq)
);
CREATE INDEX answers_by_time ON answers (at);

CREATE TABLE transcript (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    call_id TEXT NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    seq BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    turn BIGINT NOT NULL,
    speaker TEXT NOT NULL,
    name TEXT,
    text TEXT NOT NULL,
    -- The text in lower case, without accents and signs, as it is searched.
    words TEXT NOT NULL,
    UNIQUE (call_id, seq)
);
CREATE INDEX transcript_words ON transcript USING gin (to_tsvector('simple', words));
