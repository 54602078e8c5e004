// Containerfile and `npm run image` make the same image: what the one says in text, the other has as a value.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { builderConfig } from '../../scripts/image-layout.ts';

const text = readFileSync(join(import.meta.dirname, '../../Containerfile'), 'utf8').replaceAll('\\\n', ' ');
const stages = text.split(/^FROM /m);

for (const { name, isDebug, header } of [
  { name: 'debug', isDebug: true, header: 'scratch AS debug\n' },
  { name: 'default', isDebug: false, header: 'scratch AS builder\n' },
]) {
  test(`the ${name} stage of Containerfile has the configuration of the image that we make ourselves`, () => {
    const stage = stages.find((part) => part.startsWith(header));
    assert.ok(stage !== undefined);
    const config = builderConfig(isDebug);
    const environment = /^ENV (.*)$/m.exec(stage)?.[1] ?? '';
    assert.deepEqual(environment.trim().split(/\s+/), config.env);
    assert.deepEqual(JSON.parse(/^ENTRYPOINT (.*)$/m.exec(stage)?.[1] ?? 'null'), config.entrypoint);
    assert.equal(/^WORKDIR (.*)$/m.exec(stage)?.[1], config.workingDir);
    assert.equal(/^VOLUME (.*)$/m.exec(stage)?.[1], config.volumes?.keys().next().value);
  });
}
