import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Admission } from '../../src/executors/admission.ts';

function admissionWith(calls: readonly string[], options = { runningMax: 4, youngMax: 2 }): Admission<string> {
  const admission = new Admission<string>(options);
  for (const call of calls) admission.add(call);
  return admission;
}

function takeAll(admission: Admission<string>): string[] {
  const taken: string[] = [];
  for (let call = admission.take(); call !== undefined; call = admission.take()) taken.push(call);
  return taken;
}

test('only so many young calls run at a time, the oldest first', () => {
  const admission = admissionWith(['a', 'b', 'c']);

  assert.deepEqual(takeAll(admission), ['a', 'b']);
  assert.equal(admission.isHeldByYoung, true);

  admission.remove('b');

  assert.deepEqual(takeAll(admission), ['c']);
  assert.equal(admission.isHeldByYoung, false);
});

test('calls that have run for a while let others start beside them, up to the maximum', () => {
  const admission = admissionWith(['a', 'b', 'c', 'd', 'e', 'f']);
  takeAll(admission);

  admission.age();

  assert.deepEqual(takeAll(admission), ['c', 'd']);

  admission.age();

  assert.deepEqual(takeAll(admission), []);
  assert.equal(admission.isHeldByYoung, false, 'time alone changes nothing when all places are taken');

  admission.remove('a');

  assert.deepEqual(takeAll(admission), ['e']);
});

test('one that is cancelled while it waits never starts', () => {
  const admission = admissionWith(['a', 'b', 'c']);
  takeAll(admission);

  admission.remove('c');
  admission.remove('a');

  assert.deepEqual(takeAll(admission), []);
});
