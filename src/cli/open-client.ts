import { CodedError } from '../base/errors.ts';
import type { Client, ClientOptions } from './client.ts';
import { openHttpClient } from './http-client.ts';

export async function openClient(options: ClientOptions): Promise<Client> {
  const { url } = options;
  if (/^https?:\/\//.test(url)) return openHttpClient(options);
  if (/^(nats|tls):\/\//.test(url)) {
    // Loaded on demand: most calls go over HTTP, and each should be quick.
    const { openNatsClient } = await import('./nats-client.ts');
    return openNatsClient(options);
  }
  throw new CodedError('invalid', `--url ${url}: write http://host:8080 or nats://host:4222`);
}
