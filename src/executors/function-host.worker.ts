import { setPriority } from 'node:os';
import { USER_WORK_NICE } from './executor.ts';
import { FunctionHost } from './piscina-host.ts';
import { openHostChannel } from './system-host-channel.ts';

setPriority(USER_WORK_NICE);
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
