import type { FromHost, ToHost } from './host-protocol.ts';

/**
 * The host's end of the IPC channel. What is sent in one turn goes as one list. `gone` is called when the node closes
 * the channel or dies.
 */
export function openHostChannel(options: {
  readonly receive: (message: ToHost) => void;
  readonly gone: () => void;
}): (message: FromHost) => void {
  let outgoing: FromHost[] = [];
  process.on('message', (list) => {
    for (const message of list as readonly ToHost[]) options.receive(message);
  });
  process.on('disconnect', options.gone);
  return (message) => {
    outgoing.push(message);
    if (outgoing.length > 1) return;
    setImmediate(() => {
      const list = outgoing;
      outgoing = [];
      // A send that fails means that the node is gone, of which `disconnect` tells as well.
      if (process.connected) process.send?.(list, undefined, undefined, () => {});
    });
  };
}
