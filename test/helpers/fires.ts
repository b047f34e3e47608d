/** A job's nominal times as the API tells them, and the promise about them: each has exactly one outcome. */
import assert from 'node:assert/strict';
import type { DevNode } from './dev-node.ts';

export interface Fire {
  readonly outcome: string;
  readonly reason?: string;
  readonly run?: string;
  readonly scheduled_at?: string;
  readonly lateness_ms?: number | null;
  readonly first?: string;
  readonly last?: string;
  readonly count?: number;
}

/** All of them, oldest first. */
export async function readFires(node: Pick<DevNode, 'call'>, job: string): Promise<readonly Fire[]> {
  const fires: Fire[] = [];
  let cursor = '';
  do {
    const page = await node.call('GET', `/v1/jobs/${job}/fires?limit=1000&cursor=${cursor}`);
    assert.equal(page.status, 200, page.text);
    fires.push(...(page.body['items'] as Fire[]));
    cursor = String(page.body['next'] ?? '');
  } while (cursor !== '');
  return fires.toReversed();
}

/** From the first second to the last one, each is in one fire, and in one only. */
export function assertNoHole(fires: readonly Fire[], firstMs: number, lastMs: number): void {
  let dueMs = firstMs;
  for (const fire of fires) {
    const { outcome, scheduled_at: scheduledAt, first = scheduledAt, last = scheduledAt, count = 1 } = fire;
    assert.ok(['ran', 'skipped', 'missed'].includes(outcome), JSON.stringify(fire));
    assert.equal(Date.parse(String(first)), dueMs, `${JSON.stringify(fire)} follows the one before`);
    assert.equal(Date.parse(String(last)), dueMs + (count - 1) * 1_000, JSON.stringify(fire));
    dueMs += count * 1_000;
  }
  assert.ok(dueMs > lastMs, `the last fire is before ${new Date(dueMs).toISOString()}`);
}

/** Such as `ran×58 missed×2`. */
export function describeFires(fires: readonly Fire[]): string {
  const counts = new Map<string, number>();
  for (const { outcome, reason = '', count = 1 } of fires) {
    const key = reason === '' ? outcome : `${outcome}: ${reason}`;
    counts.set(key, (counts.get(key) ?? 0) + count);
  }
  return [...counts].map(([key, count]) => `${key}×${count}`).join(' ');
}
