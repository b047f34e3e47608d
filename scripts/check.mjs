// The gate before each commit: format, lint, types, unit tests and ten seeds, in under a minute.
// `npm run check -- --static` stops after lint and format.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
const biome = 'node_modules/@biomejs/biome/bin/biome';

const steps = [
  ['format', [biome, 'format', '.']],
  ['lint', [biome, 'lint', '--error-on-warnings', '.']],
];
if (!process.argv.includes('--static')) {
  steps.push(
    ['types and build', ['scripts/build.mjs']],
    ['unit tests', ['scripts/test.mjs', '--unit']],
    ['ten simulated clusters', ['dist/test/sim/main.js', '--seeds', '10', '--from', '1']],
  );
}

const startedMs = performance.now();
for (const [index, [name, command]] of steps.entries()) {
  console.log(`[${index + 1}/${steps.length}] ${name}`);
  const beganMs = performance.now();
  if (command[0].startsWith('dist/') && !existsSync(command[0])) end(`${name}: ${command[0]} was not built`);
  const { status, signal, error } = spawnSync(process.execPath, command, { stdio: 'inherit' });
  if (status !== 0) end(`${name}: ${error?.message ?? signal ?? `exit code ${status}`}`);
  console.log(`      ${seconds(beganMs)} s`);
}
console.log(`check: all good in ${seconds(startedMs)} s`);

function seconds(sinceMs) {
  return ((performance.now() - sinceMs) / 1000).toFixed(1);
}

function end(message) {
  console.error(`check failed at ${message}`);
  process.exit(1);
}
