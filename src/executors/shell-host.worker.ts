import { openHostChannel } from './host-channel.ts';
import { ShellHost } from './shell-host.ts';
import { SpawnLauncher } from './spawn-launcher.ts';

/** Children end before the host does; those that cannot be ended do not hold it for ever. */
const LEAVE_MS = 2_000;

const host = new ShellHost({
  launcher: new SpawnLauncher(),
  processesMax: Number(process.argv[2]),
  send: openHostChannel({
    receive: (message) => host.receive(message),
    gone: () => {
      host.close();
      const leaveAtMs = performance.now() + LEAVE_MS;
      const timer = setInterval(() => {
        if (host.runCount === 0 || performance.now() > leaveAtMs) process.exit(0);
      }, 10);
      timer.ref();
    },
  }),
});
// Signals to the node's group (Ctrl-C) are the node's business.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => {});
