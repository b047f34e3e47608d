/** All measurements of Carillon: names, labels and words are a contract with those who alert on them. */

export interface MetricRow {
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper bounds, of histograms only. */
  readonly buckets?: readonly number[];
}

const FAST = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];
const SLOW = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 1_800, 3_600];

function counter(help: string, ...labels: string[]): MetricRow {
  return { kind: 'counter', help, labels };
}

function gauge(help: string, ...labels: string[]): MetricRow {
  return { kind: 'gauge', help, labels };
}

function histogram(buckets: readonly number[], help: string, ...labels: string[]): MetricRow {
  return { kind: 'histogram', help, labels, buckets };
}

export const METRICS: Readonly<Record<string, MetricRow>> = {
  carillon_lateness_seconds: histogram(SLOW, 'From the nominal time of a fire to the start of an attempt.'),
  carillon_fires_total: counter('Nominal times by what became of them.', 'outcome', 'reason'),
  carillon_executions_total: counter('Finished executions by outcome.', 'outcome'),
  carillon_late_finishes_total: counter('Results that came for executions which nobody knew any more.'),
  carillon_jobs: gauge('Jobs that are stored.'),
  carillon_pending_runs: gauge('Runs that wait for a slot.'),

  carillon_clock_ahead_seconds: gauge(
    'How far the clock of this leader is ahead of most servers’, 0 while they agree.',
  ),

  carillon_raft_leader: gauge('1 while this server leads, else 0.'),
  carillon_raft_term: gauge('The Raft term that this server is in.'),
  carillon_servers_removed_total: counter('Servers that this leader removed because they were gone for too long.'),
  carillon_raft_fsync_seconds: histogram(FAST, 'Synced writes of the Raft log.'),
  carillon_raft_commit_index: gauge('The highest log index known to be committed.'),
  carillon_raft_applied_index: gauge('The highest log index that the state shows.'),
  carillon_raft_proposals_total: counter('Commands that were proposed here, by what became of them.', 'outcome'),
  carillon_invalid_frames_total: counter('Frames between nodes that were dropped unread.', 'reason'),
  carillon_unsent_frames_total: counter('Frames dropped because NATS was away or did not read.', 'reason'),
  carillon_oversized_frames_total: counter('Frames larger than NATS carries, dropped.'),
  carillon_nats_connected: gauge('1 while the connection to NATS stands, else 0.', 'connection'),

  carillon_slots: gauge('Slots for executions on this node by state.', 'state'),
  carillon_outbox_entries: gauge('Results that this node holds until a committed entry acknowledges them.'),

  carillon_thread_up: gauge('1 for a thread that answers, else 0.', 'thread'),
  carillon_thread_restarts_total: counter('Threads that died and were started again.', 'thread'),
  carillon_event_loop_delay_seconds: gauge('The longest delay of the event loop since the last reading.', 'thread'),
  carillon_mailbox_depth: gauge('Messages that wait for an actor.', 'actor'),
  carillon_message_age_seconds: histogram(
    FAST,
    'Age of the oldest message that waits for an actor, at each reading.',
    'actor',
  ),
  carillon_actor_restarts_total: counter('Actors that failed and were started again.', 'actor'),
  carillon_dead_letters_total: counter('Messages that reached nobody.', 'actor'),

  carillon_requests_total: counter('Requests of clients by door, operation and status.', 'door', 'operation', 'status'),
  carillon_http_unauthorized_total: counter('Requests by HTTP that were refused for want of the right token.'),
  carillon_request_seconds: histogram(SLOW, 'How long requests took; runs include their wait.', 'door', 'operation'),
};
