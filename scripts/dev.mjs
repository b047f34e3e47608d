// `npm run dev [-- flags of carillon dev]`: compiles on every change, and starts the node anew when it compiled well.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
const flags = process.argv.slice(2);

const compiler = spawn(process.execPath, ['node_modules/typescript/bin/tsc', '--watch', '--preserveWatchOutput'], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
let node;
let isEnding = false;
let isWanted = false;
let tail = '';

compiler.stdout.setEncoding('utf8').on('data', (chunk) => {
  process.stdout.write(chunk);
  tail += chunk;
  for (let end = tail.indexOf('\n'); end >= 0; end = tail.indexOf('\n')) {
    const line = tail.slice(0, end);
    tail = tail.slice(end + 1);
    if (/Found 0 errors?\b/.test(line)) restart();
    else if (/Found \d+ errors?\b/.test(line)) console.log('dev: the node goes on with what compiled last');
  }
});
compiler.on('exit', (code) => stop(code ?? 1));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => stop(0));

/** The old node ends first: it holds port and data directory. One that does not end in time is killed. */
function restart() {
  if (isEnding) return;
  if (node === undefined) {
    start();
    return;
  }
  if (isWanted) return;
  isWanted = true;
  end(node);
}

function start() {
  isWanted = false;
  console.log(`dev: node dist/src/main.js dev ${flags.join(' ')}`);
  const started = spawn(process.execPath, ['--enable-source-maps', 'dist/src/main.js', 'dev', ...flags], {
    stdio: 'inherit',
  });
  node = started;
  started.on('exit', (code, signal) => {
    node = undefined;
    if (isEnding) return;
    if (isWanted) start();
    else console.log(`dev: the node ended (${signal ?? `exit code ${code}`}); it starts again after the next change`);
  });
}

function end(child) {
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
  child.once('exit', () => clearTimeout(timer));
}

function stop(code) {
  if (isEnding) return;
  isEnding = true;
  compiler.kill();
  if (node === undefined) process.exit(code);
  node.once('exit', () => process.exit(code));
  end(node);
}
