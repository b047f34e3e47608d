import { type Random, randomInteger } from '../../src/base/random.ts';
import { pick } from './seed.ts';

/** A random line of 5 or 6 fields that the reader accepts. */
export function randomLine(random: Random): string {
  const fields = [
    randomField(random, 0, 59),
    randomField(random, 0, 23),
    randomField(random, 1, 31),
    randomField(random, 1, 12),
    randomField(random, 0, 6),
  ];
  return (random() < 0.5 ? fields : [randomField(random, 0, 59), ...fields]).join(' ');
}

/** As `randomLine`, with few instants, so that searches go far. */
export function sparseLine(random: Random): string {
  const second = randomInteger(random, 0, 59);
  const minute = pick(random, ['0', '30', '0,30', '*/15', `${randomInteger(random, 0, 59)}`]);
  const hour = pick(random, ['0', '1', '2', '3', '0-4', '*', '*/2', `${randomInteger(random, 0, 23)}`]);
  const day = pick(random, ['*', '*', '1', '*/2', `${randomInteger(random, 1, 31)}`]);
  const weekday = pick(random, ['*', '*', '*', '0', '5', '1-5']);
  return `${second} ${minute} ${hour} ${day} ${pick(random, ['*', '*', '3,4,9,10,11', '*/3'])} ${weekday}`;
}

function randomField(random: Random, low: number, high: number): string {
  if (random() < 0.4) return pick(random, ['*', '*', '?', `*/${randomInteger(random, 1, 20)}`]);
  const items: string[] = [];
  for (let count = randomInteger(random, 1, 3); count > 0; count -= 1) {
    const first = randomInteger(random, low, high);
    const last = randomInteger(random, first, high);
    const step = randomInteger(random, 1, 10);
    items.push(pick(random, [`${first}`, `${first}-${last}`, `${first}-${last}/${step}`, `${first}/${step}`]));
  }
  return items.join(',');
}
