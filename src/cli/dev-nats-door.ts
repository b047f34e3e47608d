/** The node's way to NATS: its address and credentials, and the service that answers there. */
import { readFile } from 'node:fs/promises';
import type { ApiContext } from '../api/call.ts';
import { isLoopbackHost } from '../api/foreign-pages.ts';
import { type NatsAddress, parseNatsAddress } from '../api/nats-address.ts';
import type { NatsService } from '../api/nats-service.ts';
import { CodedError } from '../base/errors.ts';
import type { Settings } from '../config.ts';

export interface NatsDoorSettings {
  readonly address: NatsAddress | null;
  readonly creds: Uint8Array | null;
}

/** Read before anything is made, so that a mistake leaves nothing behind. */
export async function readNatsDoor({ natsUrl, natsCreds, insecureNoAuth }: Settings): Promise<NatsDoorSettings> {
  let door: NatsDoorSettings;
  try {
    door = {
      address: natsUrl === '' ? null : parseNatsAddress(natsUrl),
      creds: natsCreds === '' ? null : await readFile(natsCreds),
    };
  } catch (error) {
    const field = error instanceof CodedError ? 'nats-url' : 'nats-creds';
    throw new CodedError('settings', `${field}: ${(error as Error).message}`, { cause: error });
  }
  const { address, creds } = door;
  const isOpen = address !== null && address.token === undefined && address.user === undefined && creds === null;
  const remote = isOpen ? address.servers.find((server) => !isLoopbackHost(server.replace(/:[0-9]+$/, ''))) : undefined;
  if (remote !== undefined && !insecureNoAuth) {
    throw new CodedError(
      'settings',
      `nats-url: ${remote} is not loopback, and whoever reaches it could run jobs here: give a token or user in the URL, ` +
        'or --nats-creds, or say --insecure-no-auth to allow it',
    );
  }
  return door;
}

export async function openNatsDoor(
  settings: Settings,
  context: ApiContext,
  { address, creds }: NatsDoorSettings,
  url: string,
  version: string,
): Promise<NatsService> {
  // Loaded now, so that HTTP and the first fire need not wait for it.
  const { startNatsService } = await import('../api/nats-service.ts');
  const service = startNatsService({
    context,
    cluster: settings.cluster,
    nodeName: settings.nodeName,
    version,
    address: address ?? parseNatsAddress(url),
    ...(creds === null ? {} : { creds }),
  });
  // A NATS that is away is no reason not to start: the door opens when it is there.
  service.connected.catch(() => {});
  return service;
}
