import { setPriority } from 'node:os';
import { FunctionHost } from './piscina-host.ts';
import { openHostChannel } from './system-host-channel.ts';

/** User code is nicer than the node, so that its beats and ticks come first. */
const HOST_PRIORITY = 5;

setPriority(HOST_PRIORITY);
const [directory = '', threadsMax = '', callBytesMax = '', residentBytesMax = ''] = process.argv.slice(2);
const host = new FunctionHost({
  directory,
  threadsMax: Number(threadsMax),
  callBytesMax: Number(callBytesMax),
  residentBytesMax: Number(residentBytesMax),
  send: openHostChannel({
    receive: (message) => host.receive(message),
    // Threads end with their process.
    gone: () => process.exit(0),
  }),
});
process.on('SIGINT', () => {});
process.on('SIGTERM', () => {});
