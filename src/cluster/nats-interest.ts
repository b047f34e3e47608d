import type { NatsConnection as Client, Msg, Subscription } from 'nats';
import type { Log } from '../base/telemetry.ts';
import type { Clock, Timer } from '../base/time.ts';

export interface InterestOptions {
  readonly subject: string;
  readonly listener: (message: Msg) => void;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * A subscription that is wanted for as long as it is not ended, whatever becomes of connections. The client forgets
 * one that the server denies; here it is asked for again, since an operator may mend the permissions meanwhile.
 */
export class Interest {
  readonly #options: InterestOptions;
  #client: Client | undefined;
  #subscription: Subscription | undefined;
  #retry: Timer | undefined;
  #isEnded = false;

  constructor(options: InterestOptions) {
    this.#options = options;
  }

  attach(client: Client): void {
    this.#retry?.cancel();
    this.#client = client;
    if (this.#isEnded || client.isClosed()) return;
    this.#subscription = client.subscribe(this.#options.subject, {
      callback: (error, message) => {
        if (error === null) this.#hand(message);
        else this.#denied(client, error);
      },
    });
  }

  end(): void {
    this.#isEnded = true;
    this.#retry?.cancel();
    if (this.#client?.isClosed() === false) this.#subscription?.unsubscribe();
  }

  #hand(message: Msg): void {
    if (this.#isEnded) return;
    try {
      this.#options.listener(message);
    } catch (error) {
      // Our own bug must end the process. Thrown here, it would only end the client's reading, and leave a deaf node.
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  #denied(client: Client, error: Error): void {
    const { clock, log, subject } = this.#options;
    if (this.#isEnded || client !== this.#client) return;
    log.warn('NATS refuses a subscription: give the node its permissions', { subject, error: error.message });
    this.#retry = clock.after(DENIED_RETRY_MS, () => this.attach(client));
  }
}

const DENIED_RETRY_MS = 5_000;
