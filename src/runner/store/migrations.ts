/**
 * The results database's schema, as numbered steps. A step that was released is never edited: add another.
 * The comments inside are part of what `pipe sql --schema` prints.
 */
export const migrations: readonly string[] = [
  `
CREATE TABLE run (
  id INTEGER PRIMARY KEY,
  pipeline TEXT NOT NULL,
  file TEXT NOT NULL,             -- absolute path of the pipeline file
  root TEXT NOT NULL,             -- absolute path of the project
  profile TEXT,
  overrides TEXT NOT NULL,        -- JSON list of --set entries
  params TEXT NOT NULL,           -- JSON, after profile and overrides
  command TEXT NOT NULL,          -- JSON list, as it was called
  host TEXT NOT NULL,
  pid INTEGER NOT NULL,
  version TEXT NOT NULL,          -- of this program
  started_at INTEGER NOT NULL,    -- milliseconds since 1970
  ended_at INTEGER,
  exit_code INTEGER,
  summary TEXT                    -- JSON: ran, fresh, failed, skipped, stopped, tainted, interrupted
) STRICT;

CREATE TABLE attempt (
  id INTEGER PRIMARY KEY,
  run INTEGER NOT NULL REFERENCES run (id),
  pipeline TEXT NOT NULL,
  stage TEXT NOT NULL,
  cell TEXT NOT NULL,             -- train[size=d32l2,seed=1]
  point TEXT NOT NULL,            -- JSON object of the matrix point
  plan_key TEXT NOT NULL,
  action_key TEXT,
  status TEXT NOT NULL,           -- running, ran, failed, tainted, interrupted, lost
  host TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  ended_at INTEGER,
  cpu_seconds REAL,
  peak_memory_bytes INTEGER,
  gpu TEXT,
  exit_code INTEGER,
  signal TEXT,
  cause TEXT,                     -- exit, signal, oom, timeout, preempted, missing-output, damaged-input, cancelled, disk-full, internal
  message TEXT,
  log TEXT NOT NULL,              -- absolute path
  log_digest TEXT,
  platform TEXT NOT NULL,         -- JSON object: backend, threads, os …
  resumed_from_step INTEGER,
  notes TEXT NOT NULL DEFAULT '[]' -- JSON list of what the stage said
) STRICT;
CREATE INDEX attempt_of_cell ON attempt (pipeline, cell, id);
CREATE INDEX attempt_of_stage ON attempt (stage, status, id);
CREATE INDEX attempt_of_plan_key ON attempt (plan_key, id);
CREATE INDEX attempt_of_action_key ON attempt (action_key, id);
CREATE INDEX attempt_of_run ON attempt (run);

CREATE TABLE current ( -- which attempt's result each cell has, as of the newest run of its pipeline
  pipeline TEXT NOT NULL,
  cell TEXT NOT NULL,
  stage TEXT NOT NULL,
  point TEXT NOT NULL,
  attempt INTEGER NOT NULL REFERENCES attempt (id) ON DELETE CASCADE,
  PRIMARY KEY (pipeline, cell)
) STRICT, WITHOUT ROWID;
CREATE INDEX current_of_attempt ON current (attempt);

CREATE TABLE param (
  attempt INTEGER NOT NULL REFERENCES attempt (id) ON DELETE CASCADE,
  name TEXT NOT NULL,             -- optimizer.rate for a nested one
  value TEXT NOT NULL,            -- JSON
  PRIMARY KEY (attempt, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE metric (
  attempt INTEGER NOT NULL REFERENCES attempt (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  step INTEGER,                   -- NULL when the stage gave none
  value REAL,                     -- NULL unless kind is finite
  kind TEXT NOT NULL DEFAULT 'finite' CHECK (kind IN ('finite', 'nan', 'inf', '-inf'))
) STRICT;
CREATE INDEX metric_of_attempt ON metric (attempt, name, step);

CREATE TABLE artefact (
  digest TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  type TEXT NOT NULL,             -- file or folder
  size INTEGER NOT NULL,          -- bytes of all files
  files INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  state TEXT NOT NULL,            -- here, dropped (removed on purpose), damaged (in cache/quarantine)
  stat BLOB                       -- size, mtime, ctime, inode of each entry as committed
) STRICT;

CREATE TABLE record (
  key TEXT PRIMARY KEY,
  kind TEXT NOT NULL,             -- plan or action
  attempt INTEGER NOT NULL REFERENCES attempt (id),
  outputs TEXT NOT NULL,          -- JSON: output name to artefact
  accepted TEXT                   -- the reason given to pipe accept
) STRICT, WITHOUT ROWID;
CREATE INDEX record_of_attempt ON record (attempt);

CREATE TABLE manifest_value (
  id INTEGER PRIMARY KEY,
  digest TEXT NOT NULL UNIQUE,
  value TEXT NOT NULL             -- canonical JSON
) STRICT;
CREATE TABLE manifest_part (
  attempt INTEGER NOT NULL REFERENCES attempt (id) ON DELETE CASCADE,
  part TEXT NOT NULL,             -- code, with.size, in.images, env.LANG …
  value INTEGER NOT NULL REFERENCES manifest_value (id),
  ignored INTEGER NOT NULL,       -- 1: shown, not part of the key
  PRIMARY KEY (attempt, part)
) STRICT, WITHOUT ROWID;
CREATE INDEX manifest_part_of_value ON manifest_part (value);

CREATE TABLE tree_node (
  digest TEXT PRIMARY KEY,        -- of a folder that was an input
  entries BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE file_stat (
  folder BLOB PRIMARY KEY,        -- bytes of its path: names need not be UTF-8
  rows BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE lease (
  key TEXT PRIMARY KEY,           -- action key of the cell being run
  run INTEGER NOT NULL,
  attempt INTEGER,
  cell TEXT NOT NULL,
  host TEXT NOT NULL,
  pid INTEGER NOT NULL,
  boot TEXT NOT NULL,             -- boot id: a pid means nothing after a restart
  pid_started TEXT NOT NULL,      -- start time of the process: pids are used again
  acquired_at INTEGER NOT NULL,
  heartbeat_at INTEGER NOT NULL,
  processes TEXT NOT NULL DEFAULT '[]' -- JSON list of the stage's process groups
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoint (
  key TEXT PRIMARY KEY,           -- action key; the folder is cache/checkpoints/<key>
  cell TEXT NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE pin (
  digest TEXT PRIMARY KEY,        -- an artefact that gc keeps
  reason TEXT NOT NULL,
  pinned_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE verification (
  id INTEGER PRIMARY KEY,
  attempt INTEGER NOT NULL REFERENCES attempt (id) ON DELETE CASCADE,
  at INTEGER NOT NULL,
  deterministic INTEGER NOT NULL, -- 1: a second run gave the same
  detail TEXT NOT NULL            -- JSON: what was compared, and what differed
) STRICT;

CREATE VIEW manifest AS -- what each attempt depended on, one row a part
SELECT attempt.id AS attempt, coalesce(attempt.action_key, attempt.plan_key) AS key, part, manifest_value.value AS value, ignored
FROM manifest_part JOIN attempt ON attempt.id = manifest_part.attempt JOIN manifest_value ON manifest_value.id = manifest_part.value;

CREATE VIEW runs AS -- one row a call of pipe run, newest first
SELECT run.id, pipeline, profile, datetime(started_at / 1000, 'unixepoch') AS started,
  (ended_at - started_at) / 1000.0 AS seconds, exit_code,
  json_extract(summary, '$.ran') AS ran, json_extract(summary, '$.fresh') AS fresh, json_extract(summary, '$.failed') AS failed,
  host, command
FROM run ORDER BY run.id DESC;

CREATE VIEW results AS -- one row a cell with a result: params and the last value of each metric, as JSON objects
SELECT current.pipeline, current.stage, current.cell, current.point, attempt.id AS attempt,
  (SELECT json_group_object(name, json(value)) FROM param WHERE param.attempt = attempt.id) AS params,
  (SELECT json_group_object(name, coalesce(value, kind)) FROM (
    SELECT name, value, kind, row_number() OVER (PARTITION BY name ORDER BY step DESC, rowid DESC) AS place
    FROM metric WHERE metric.attempt = attempt.id) WHERE place = 1) AS metrics,
  (ended_at - started_at) / 1000.0 AS seconds, host, run, datetime(ended_at / 1000, 'unixepoch') AS ended
FROM current JOIN attempt ON attempt.id = current.attempt;

CREATE VIEW curves AS -- metrics by step of each cell's result
SELECT current.pipeline, current.stage, current.cell, metric.name, metric.step, metric.value, metric.kind, metric.attempt
FROM current JOIN metric ON metric.attempt = current.attempt
WHERE metric.step IS NOT NULL
ORDER BY current.pipeline, current.cell, metric.name, metric.step;
`,
  `
ALTER TABLE attempt ADD COLUMN verifies INTEGER REFERENCES attempt (id) ON DELETE CASCADE /* the attempt whose outputs it was to make again, for pipe verify */;
ALTER TABLE verification ADD COLUMN again INTEGER REFERENCES attempt (id) ON DELETE CASCADE /* the attempt that ran it again */;
CREATE INDEX verification_of_attempt ON verification (attempt);
`,
  `
CREATE TABLE result_set ( -- cells with the attempts that their results came from; runs in which nothing changed share one
  id INTEGER PRIMARY KEY,
  digest TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE result_set_cell (
  result_set INTEGER NOT NULL REFERENCES result_set (id) ON DELETE CASCADE,
  cell TEXT NOT NULL,
  attempt INTEGER NOT NULL REFERENCES attempt (id) ON DELETE CASCADE,
  PRIMARY KEY (result_set, cell)
) STRICT, WITHOUT ROWID;
CREATE INDEX result_set_cell_of_attempt ON result_set_cell (attempt);
ALTER TABLE run ADD COLUMN result_set INTEGER REFERENCES result_set (id) /* what its cells had at its end */;

CREATE VIEW run_cells AS -- one row a cell that had a result at the end of a run: the attempt it came from, and whether that was in this run
SELECT run.id AS run, run.pipeline, cell, attempt, EXISTS (SELECT 1 FROM attempt AS made WHERE made.id = attempt AND made.run = run.id) AS ran
FROM run JOIN result_set_cell ON result_set_cell.result_set = run.result_set;
`,
  `
CREATE TABLE artefact_location ( -- artefacts that a host of pipe.hosts.yaml has, here or not
  digest TEXT NOT NULL,
  host TEXT NOT NULL,
  PRIMARY KEY (digest, host)
) STRICT, WITHOUT ROWID;
`,
  `
ALTER TABLE run ADD COLUMN shared TEXT /* the shared cache in which its attempts were found; NULL for a run of this cache */;
CREATE TABLE shared_artefact ( -- artefacts that a shared cache can supply
  digest TEXT PRIMARY KEY,
  cache TEXT NOT NULL,            -- its address
  contents TEXT NOT NULL,         -- JSON: the blobs it consists of there
  seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

DROP VIEW runs;
CREATE VIEW runs AS -- one row a call of pipe run, newest first
SELECT run.id, pipeline, profile, datetime(started_at / 1000, 'unixepoch') AS started,
  (ended_at - started_at) / 1000.0 AS seconds, exit_code,
  json_extract(summary, '$.ran') AS ran, json_extract(summary, '$.fresh') AS fresh, json_extract(summary, '$.failed') AS failed,
  host, command
FROM run WHERE shared IS NULL ORDER BY run.id DESC;
`,
  `
ALTER TABLE file_stat ADD COLUMN proof BLOB /* what was known of the folder as a whole; NULL where only some of its files were looked at */;
`,
  `
ALTER TABLE artefact ADD COLUMN unsynced TEXT /* the boot under which it came from elsewhere without being forced to disk; after another it is read again before it is used */;
CREATE INDEX artefact_unsynced ON artefact (digest) WHERE unsynced IS NOT NULL;
`,
  `
CREATE TABLE checkpoint_place ( -- places that have a checkpoint, whole or begun; a copy has the step and time of its original
  key TEXT NOT NULL REFERENCES checkpoint (key) ON DELETE CASCADE,
  place TEXT NOT NULL,            -- local, or a host of pipe.hosts.yaml
  step INTEGER,                   -- the last that an attempt there has told
  at INTEGER NOT NULL,            -- when that attempt was last heard of
  PRIMARY KEY (key, place)
) STRICT, WITHOUT ROWID;
`,
];
