/**
 * Scenarios in the manner of etcd's `interaction` tests: a text file of commands, each followed by `----` and what is
 * seen. Run with `REWRITE=1` to write down what is seen now; then read the difference.
 *
 *   add-nodes N [joiners=M] [election-ticks=6] [inflight=64] [append-bytes=N] [append-entries=N] [quota=N] [commit=N]
 *                      N voters, and M more servers with empty logs; lines `ID terms=1,1,2 [term=3]` give other logs
 *   campaign ID | elect ID (campaign and stabilize, in silence)
 *   elect ID by ID…    these alone hold an election, in silence; what the new leader has to say waits for its `ready`
 *   tick ID N | tick-election ID | propose ID TEXT…
 *   ready ID           take what the core asks for; the write waits
 *   append ID          make the oldest waiting write durable, its answers leave
 *   deliver ID [from=ID] [type=TYPE] [count=N] [drop | keep]    messages on their way to ID; `keep`: they come again
 *   stabilize [ID…]    all of these, for these nodes, until nothing moves
 *   settle [ID…]       the same in silence, and the status of the first
 *   transfer ID [TARGET]
 *   configure ID add|promote|remove NODE [becomes-voter] [replaces=NODE] | configuration ID
 *   read ID            a linearizable read is asked there; `ready` shows what comes of it
 *   restart ID         a crash: writes that wait are lost | wound ID INDEX: the same, and the log was cut there
 *   compact ID INDEX | uncache ID INDEX | unreachable ID PEER | send-snapshot FROM TO [INDEX] | fail-snapshot FROM TO
 *   status ID | raft-log ID | durable ID
 */
import assert from 'node:assert/strict';
import { decodeConfiguration } from '../../src/raft/configuration.ts';
import type { Configuration, ConfigurationChange } from '../../src/raft/raft-protocol.ts';
import type { RaftLimits } from '../../src/raft/state.ts';
import type { AppendWork, LogEntry, Message, Ready, VoteRequest } from '../../src/raft/types.ts';
import { CoreNode, entriesOf } from './core-node.ts';

/** The text with the output of each command as it is now. */
export function runScenario(text: string): string {
  const scenario = new Scenario();
  return text
    .split(/\n{2,}/)
    .map((block) => block.trim())
    .filter((block) => block !== '')
    .map((block) => runBlock(scenario, block))
    .join('\n\n')
    .concat('\n');
}

function runBlock(scenario: Scenario, block: string): string {
  const input = block.split(/^----$/m)[0]?.trimEnd() ?? '';
  const lines = input.split('\n').filter((line) => !line.startsWith('#'));
  if (lines.length === 0) return input;
  scenario.run(lines[0] as string, lines.slice(1));
  const output = scenario.takeOutput();
  return `${input}\n----\n${output === '' ? 'ok' : output}`;
}

class Scenario {
  readonly #nodes = new Map<string, CoreNode>();
  readonly #writes = new Map<string, AppendWork[]>();
  #messages: Message[] = [];
  #lines: string[] = [];

  takeOutput(): string {
    const output = this.#lines.join('\n');
    this.#lines = [];
    return output;
  }

  run(line: string, body: readonly string[]): void {
    const words = line.split(/\s+/);
    const [command, ...rest] = words;
    const id = rest[0] ?? '';
    switch (command) {
      case 'add-nodes':
        return this.#addNodes(Number(id), optionsOf(rest), body);
      case 'configure':
        return this.#configure(id, rest);
      case 'configuration':
        return this.#configuration(id);
      case 'read':
        return this.#read(id);
      case 'restart':
      case 'wound':
        this.#writes.set(id, []);
        return this.#node(id).restart(command === 'wound' ? Number(rest[1]) : undefined);
      case 'settle':
        this.#stabilize(rest.length === 0 ? [...this.#nodes.keys()] : rest);
        this.#lines = [];
        return this.#status(rest[0] ?? '1');
      case 'campaign':
        if (!this.#node(id).raft.campaign()) this.#say('refused');
        return;
      case 'elect':
        if (rest[1] === 'by') return this.#electBy(id, [id, ...rest.slice(2)]);
        this.#node(id).raft.campaign();
        this.#stabilize([...this.#nodes.keys()]);
        this.#lines = [];
        return this.#status(id);
      case 'tick':
        return this.#node(id).tick(Number(rest[1]));
      case 'tick-election':
        return this.#node(id).tickElection();
      case 'propose':
        return this.#propose(id, rest.slice(1));
      case 'ready':
        this.#ready(id);
        return;
      case 'append':
        this.#append(id);
        return;
      case 'deliver':
        this.#deliver(id, optionsOf(rest), rest.includes('drop') ? 'drop' : rest.includes('keep') ? 'keep' : 'take');
        return;
      case 'stabilize':
        return this.#stabilize(rest.length === 0 ? [...this.#nodes.keys()] : rest);
      case 'compact':
        return this.#node(id).log.compact(Number(rest[1]));
      case 'uncache':
        this.#node(id).log.cachedFrom = Number(rest[1]);
        return;
      case 'transfer':
        if (!this.#node(id).raft.transfer(rest[1])) this.#say('refused');
        return;
      case 'unreachable':
        return this.#node(id).raft.unreachable(rest[1] ?? '');
      case 'send-snapshot':
        return this.#sendSnapshot(id, rest[1] ?? '', rest[2]);
      case 'fail-snapshot':
        return this.#node(id).raft.snapshotSent(rest[1] ?? '', 0, false);
      case 'status':
        return this.#status(id);
      case 'durable':
        return this.#say(`durable up to ${this.#node(id).state.log.stableIndex}`);
      case 'raft-log':
        return this.#raftLog(id);
      default:
        assert.fail(`unknown command: ${line}`);
    }
  }

  #addNodes(count: number, options: ReadonlyMap<string, string>, body: readonly string[]): void {
    const voters = Array.from({ length: count }, (_, position) => `${position + 1}`);
    const limits: Record<string, number> = {};
    for (const [name, key] of LIMITS) if (options.has(name)) limits[key] = Number(options.get(name));
    const joiners = Array.from(
      { length: Number(options.get('joiners') ?? 0) },
      (_, position) => `${count + position + 1}`,
    );
    for (const id of joiners) {
      this.#nodes.set(id, new CoreNode(id, { voters: [], limits, random: () => 0.5 }));
      this.#writes.set(id, []);
    }
    for (const id of voters) {
      const line = body.find((text) => text.split(' ')[0] === id) ?? '';
      const own = optionsOf(line.split(/\s+/));
      const terms = (own.get('terms') ?? options.get('terms') ?? '1').split(',').map(Number);
      const term = Number(own.get('term') ?? terms.at(-1));
      const commit = Math.min(Number(options.get('commit') ?? 1), terms.length);
      // The same timeout for all, nine ticks of six to eleven, so that scripts can count.
      const core = { voters, limits, entries: entriesOf(terms), hardState: { term, commit }, random: () => 0.5 };
      this.#nodes.set(id, new CoreNode(id, core));
      this.#writes.set(id, []);
    }
  }

  #electBy(id: string, ids: readonly string[]): void {
    const { state, raft } = this.#node(id);
    // Two attempts: in the first it may only learn the term of the others.
    for (let round = 0; round < 8 && state.role !== 'leader'; round += 1) {
      if (round % 4 === 0) {
        // Nobody of them has heard the old leader for a while.
        for (const voter of ids) this.#node(voter).state.electionElapsed = state.limits.electionTicks;
        raft.campaign();
      }
      for (const voter of ids) {
        this.#ready(voter);
        while (this.#append(voter));
      }
      const isVote = ({ type }: Message): boolean => type === 'vote-request' || type === 'vote-answer';
      this.#messages = this.#messages.filter((message) => !isVote(message) || ids.includes(message.to));
      for (const voter of ids) {
        this.#deliver(voter, new Map([['type', 'vote-request']]), 'take');
        this.#deliver(voter, new Map([['type', 'vote-answer']]), 'take');
      }
    }
    this.#lines = [];
    this.#status(id);
  }

  #configure(id: string, words: readonly string[]): void {
    const [, type, node = ''] = words;
    const replaces = optionsOf(words).get('replaces') ?? null;
    const becomesVoter = words.includes('becomes-voter') || replaces !== null;
    assert(type === 'add' || type === 'promote' || type === 'remove');
    const change: ConfigurationChange = type === 'add' ? { type, node, becomesVoter, replaces } : { type, node };
    const result = this.#node(id).raft.configure(change);
    if (result.type === 'configured') this.#say(`stands in ${result.index}/${result.term}`);
    else this.#say(`refused: ${result.code}, leader ${result.leader ?? 'none'}: ${result.message}`);
  }

  #configuration(id: string): void {
    const { log, isConfigurationCommitted } = this.#node(id).state;
    const { configuration, index } = log.configurations.latest;
    this.#say(`in ${index}: ${textOf(configuration)}${isConfigurationCommitted ? '' : ', not committed'}`);
  }

  #read(id: string): void {
    const result = this.#node(id).raft.read();
    if (result.type === 'asked') this.#say(`read ${result.id} begins`);
    else this.#say(`refused: ${result.code}`);
  }

  #propose(id: string, texts: readonly string[]): void {
    const result = this.#node(id).raft.propose(texts.map((text) => Buffer.from(text)));
    if (result.type === 'refused') this.#say(`refused: ${result.code}, leader ${result.leader ?? 'none'}`);
    else if (result.count < texts.length) this.#say(`accepted ${result.count} of ${texts.length}`);
  }

  #ready(id: string): boolean {
    const node = this.#node(id);
    const ready = node.ready();
    const isSomething = !isEmpty(ready);
    if (!isSomething) return false;
    this.#say(`${id} ready`);
    if (ready.append !== null) {
      const { entries, hardState, reset, answers } = ready.append;
      if (hardState !== null)
        this.#say(`  state term=${hardState.term} vote=${hardState.vote ?? 'none'} commit=${hardState.commit}`);
      if (reset !== null) this.#say(`  reset to ${reset.point.index}/${reset.point.term}`);
      if (entries.length > 0) this.#say(`  write ${placesOf(entries)}`);
      for (const message of answers) this.#say(`  then ${describe(message)}`);
      this.#writes.get(id)?.push(ready.append);
    }
    for (const message of ready.messages) this.#say(`  ${describe(message)}`);
    for (const { id: read, index } of ready.readResults) {
      this.#say(index === null ? `  read ${read} is refused` : `  read ${read} at ${index}`);
    }
    if (ready.hasHealed) {
      this.#say('  is whole again');
      node.raft.healed();
    }
    for (const peer of ready.snapshots) this.#say(`  ${peer} needs a snapshot`);
    if (ready.committed.length > 0) this.#say(`  committed ${placesOf(ready.committed)}`);
    node.apply(ready.committed);
    for (const work of ready.reads) {
      this.#say(`  read ${work.low} for ${work.target ?? 'itself'}`);
      node.raft.entriesRead(work, node.log.read(work.low, work.high, work.bytesMax));
    }
    this.#messages.push(...ready.messages);
    return true;
  }

  #append(id: string): boolean {
    const work = this.#writes.get(id)?.shift();
    if (work === undefined) return false;
    this.#say(`${id} durable${work.entries.length > 0 ? ` ${placesOf(work.entries)}` : ''}`);
    this.#messages.push(...this.#node(id).persist(work));
    return true;
  }

  #deliver(id: string, options: ReadonlyMap<string, string>, mode: 'take' | 'drop' | 'keep'): boolean {
    const [from, type] = [options.get('from'), options.get('type')];
    let rest = Number(options.get('count') ?? Number.POSITIVE_INFINITY);
    const meant = this.#messages.filter((message) => {
      const isMeant =
        message.to === id && message.from === (from ?? message.from) && message.type === (type ?? message.type);
      if (isMeant) rest -= 1;
      return isMeant && rest >= 0;
    });
    if (mode !== 'keep') this.#messages = this.#messages.filter((message) => !meant.includes(message));
    for (const message of meant) {
      this.#say(`${mode === 'drop' ? 'dropped' : `${id} gets`} ${describe(message)}`);
      if (mode !== 'drop') this.#node(id).raft.step(message);
    }
    return meant.length > 0;
  }

  #stabilize(ids: readonly string[]): void {
    for (let round = 0; round < 500; round += 1) {
      let hasMoved = false;
      for (const id of ids) hasMoved = this.#ready(id) || hasMoved;
      for (const id of ids) while (this.#append(id)) hasMoved = true;
      for (const id of ids) hasMoved = this.#deliver(id, new Map(), 'take') || hasMoved;
      if (!hasMoved) return;
    }
    assert.fail('never stable');
  }

  #sendSnapshot(from: string, to: string, wanted: string | undefined): void {
    const { raft, state } = this.#node(from);
    const index = wanted === undefined ? state.log.applied : Number(wanted);
    const point = state.log.point(index);
    const target = this.#node(to).raft;
    if (target.beginInstall(point)) target.restored(point, state.log.configurations.at(index));
    else target.answerUselessSnapshot();
    raft.snapshotSent(to, index, true);
  }

  #status(id: string): void {
    const { role, term, leader, log, progress, transfer, isWounded } = this.#node(id).state;
    const wounded = isWounded ? ' wounded' : '';
    this.#say(
      `${role} term=${term} leader=${leader ?? 'none'} commit=${log.committed} last=${log.lastIndex}${wounded}`,
    );
    if (transfer !== null) this.#say(`  hands over to ${transfer.target ?? 'whoever is heard'}`);
    for (const [peer, one] of progress) {
      if (peer === id) continue;
      const notes = [one.isPaused ? 'paused' : '', one.inflights.count > 0 ? `inflight=${one.inflights.count}` : ''];
      if (one.isWounded) notes.push('wounded');
      if (one.ticksToLeave !== null) notes.push('leaves');
      this.#say(
        [`  ${peer}: ${one.state} match=${one.match} next=${one.next}`, ...notes]
          .filter((note) => note !== '')
          .join(' '),
      );
    }
  }

  #raftLog(id: string): void {
    const { log } = this.#node(id).state;
    const places = [];
    for (let index = log.firstIndex; index <= log.lastIndex; index += 1) places.push(`${index}/${log.term(index)}`);
    this.#say(`from ${log.firstIndex}: ${places.join(' ')}`);
  }

  #node(id: string): CoreNode {
    const node = this.#nodes.get(id);
    assert(node !== undefined, `no node ${id}`);
    return node;
  }

  #say(line: string): void {
    this.#lines.push(line);
  }
}

const LIMITS = [
  ['election-ticks', 'electionTicks'],
  ['inflight', 'inflightMessagesMax'],
  ['append-bytes', 'appendBytesMax'],
  ['append-entries', 'appendEntriesMax'],
  ['quota', 'uncommittedBytesMax'],
] as const satisfies readonly (readonly [string, keyof RaftLimits])[];

function optionsOf(words: readonly string[]): ReadonlyMap<string, string> {
  return new Map(words.filter((word) => word.includes('=')).map((word) => word.split('=') as [string, string]));
}

function isEmpty(ready: Ready): boolean {
  const { messages, append, committed, reads, snapshots, readResults, hasHealed } = ready;
  const lists = [messages, committed, reads, snapshots, readResults];
  return append === null && !hasHealed && lists.every((list) => list.length === 0);
}

function placesOf(entries: readonly LogEntry[]): string {
  return entries.map(({ index, term, kind, data }) => `${index}/${term} ${contentOf(kind, data)}`).join(', ');
}

function contentOf(kind: LogEntry['kind'], data: Uint8Array): string {
  if (kind === 'command') return `"${Buffer.from(data)}"`;
  const configuration = kind === 'configuration' ? decodeConfiguration(data) : undefined;
  return configuration === undefined ? kind : textOf(configuration);
}

function textOf({ voters, outgoing, learners }: Configuration): string {
  const parts = [`voters ${voters.join(' ')}`];
  if (outgoing.length > 0) parts.push(`outgoing ${outgoing.join(' ')}`);
  for (const { node, becomesVoter, replaces } of learners) {
    parts.push(`learner ${node}${becomesVoter ? ' to vote' : ''}${replaces === null ? '' : ` instead of ${replaces}`}`);
  }
  return voters.length === 0 ? 'nobody' : parts.join('; ');
}

function describe(message: Message): string {
  return `${message.from}->${message.to} ${message.type} term=${message.term}${detailsOf(message)}`;
}

function detailsOf(message: Message): string {
  const wounded = 'isWounded' in message ? ' wounded' : '';
  switch (message.type) {
    case 'append': {
      const { previous, commit, entries } = message;
      const list = entries.length === 0 ? '' : ` [${placesOf(entries)}]`;
      return ` after=${previous.index}/${previous.term} commit=${commit}${list}`;
    }
    case 'append-answer':
      if (!message.isRejected) return ` index=${message.index}${wounded}`;
      return ` index=${message.index} rejected hint=${message.hint.index}/${message.hint.term}${wounded}`;
    case 'vote-request':
      return `${kindOf(message)} last=${message.last.index}/${message.last.term}`;
    case 'vote-answer':
      return `${message.isPreVote ? ' pre' : ''} ${message.isGranted ? 'granted' : 'refused'}`;
    case 'heartbeat':
      return ` commit=${message.commit}${message.position > 0 ? ` round=${message.position}` : ''}`;
    case 'heartbeat-answer':
      return `${message.position > 0 ? ` round=${message.position}` : ''}${wounded}`;
    case 'read-request':
      return ` read=${message.id}${wounded}`;
    case 'read-answer':
      return ` read=${message.id} at=${message.index}`;
    case 'timeout-now':
    case 'probe':
      return '';
  }
}

function kindOf({ isPreVote, isTransfer }: VoteRequest): string {
  if (isTransfer) return ' transfer';
  return isPreVote ? ' pre' : '';
}
