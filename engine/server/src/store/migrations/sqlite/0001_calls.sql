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
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    end_reason TEXT,
    duration_ms INTEGER,
    turns INTEGER NOT NULL,
    interruptions INTEGER NOT NULL,
    takeovers INTEGER NOT NULL,
    metadata TEXT NOT NULL,
    recording_path TEXT,
    recording_format TEXT,
    recording_encrypted INTEGER,
    recording_bytes INTEGER
);
CREATE INDEX calls_by_time ON calls (started_at, id);
CREATE INDEX calls_by_state ON calls (state, started_at, id);
CREATE INDEX calls_by_from ON calls (from_number);
CREATE INDEX calls_by_to ON calls (to_number);

CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    call_id TEXT NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    json TEXT NOT NULL,
    UNIQUE (call_id, seq)
);

-- The latency of each answer.
CREATE TABLE answers (
    call_id TEXT NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    total_ms INTEGER NOT NULL,
    PRIMARY KEY (call_id, seq)
) WITHOUT ROWID;
CREATE INDEX answers_by_time ON answers (at);

CREATE TABLE transcript (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    call_id TEXT NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    turn INTEGER NOT NULL,
    speaker TEXT NOT NULL,
    name TEXT,
    text TEXT NOT NULL,
    -- The text in lower case, without accents and signs, as it is searched.
    words TEXT NOT NULL,
    UNIQUE (call_id, seq)
);
CREATE VIRTUAL TABLE transcript_words USING fts5 (
    words, content = 'transcript', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 0'
);
-- What is deleted leaves the index at once, not with its next merge.
INSERT INTO transcript_words (transcript_words, rank) VALUES ('secure-delete', 1);
CREATE TRIGGER transcript_added AFTER INSERT ON transcript BEGIN
    INSERT INTO transcript_words (rowid, words) VALUES (new.id, new.words);
END;
CREATE TRIGGER transcript_removed AFTER DELETE ON transcript BEGIN
    INSERT INTO transcript_words (transcript_words, rowid, words) VALUES ('delete', old.id, old.words);
END;
