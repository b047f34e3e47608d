import { realpathSync, statSync } from 'node:fs';
import { resolve, sep } from 'node:path';
import { pathToFileURL } from 'node:url';

export type FoundModule =
  | { readonly type: 'module'; readonly url: string }
  | { readonly type: 'fault'; readonly text: string };

/** So long an answer is reused, since every call asks. */
const KEEP_MS = 1_000;
const KEPT_MAX = 1_000;

/** Finds the modules of function jobs, inside one directory and nowhere else, links followed. */
export class FunctionModules {
  readonly #directory: string;
  readonly #found = new Map<string, { readonly module: FoundModule; readonly atMs: number }>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  find(name: string): FoundModule {
    const nowMs = performance.now();
    const known = this.#found.get(name);
    if (known !== undefined && nowMs - known.atMs < KEEP_MS) return known.module;
    if (this.#found.size >= KEPT_MAX) this.#found.clear();
    const module = this.#look(name);
    this.#found.set(name, { module, atMs: nowMs });
    return module;
  }

  #look(name: string): FoundModule {
    if (name === '') return fault('function: module is missing');
    let directory: string;
    try {
      directory = realpathSync(this.#directory);
    } catch {
      return fault(`function: the functions directory ${this.#directory} does not exist`);
    }
    try {
      const file = realpathSync(resolve(directory, name));
      if (!file.startsWith(directory + sep))
        return fault(`function: module ${name} lies outside the functions directory`);
      const facts = statSync(file);
      if (!facts.isFile()) return fault(`function: module ${name} is not a file`);
      // An edited file is another module: threads keep what they have loaded.
      return { type: 'module', url: `${pathToFileURL(file).href}?modified=${facts.mtimeMs}` };
    } catch {
      return fault(`function: there is no module ${name} in the functions directory`);
    }
  }
}

function fault(text: string): FoundModule {
  return { type: 'fault', text };
}
