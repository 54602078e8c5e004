import assert from 'node:assert/strict';
import { test } from 'node:test';
import { appendHistory, appendLayer, withRunConfig } from '../../../src/oci/image.ts';
import { imageOf, layerOf } from '../../support/image.ts';

const [first, second] = [layerOf(Buffer.from('a')), layerOf(Buffer.from('b'))];

test('appendLayer() adds a layer, its diffId and its history, and leaves the image it was given alone', () => {
  const image = imageOf(first);
  const more = appendLayer(image, second, { createdBy: 'RUN b' });
  assert.deepEqual(more.layers, [first, second]);
  assert.deepEqual(more.config.diffIds, [first.diffId, second.diffId]);
  assert.deepEqual(more.config.history, [{ createdBy: 'RUN b' }]);
  assert.deepEqual([image.layers.length, image.config.diffIds.length, image.config.history.length], [1, 1, 0]);
});

test('appendHistory() adds a step that made no layer', () => {
  const more = appendHistory(imageOf(first), { createdBy: 'ENV a=b' });
  assert.deepEqual(more.config.history, [{ createdBy: 'ENV a=b', emptyLayer: true }]);
  assert.deepEqual(more.layers, [first]);
});

test('withRunConfig() changes how a container runs, and nothing else', () => {
  const image = imageOf(first);
  const more = withRunConfig(image, { ...image.config.config, user: 'me' });
  assert.equal(more.config.config.user, 'me');
  assert.deepEqual({ ...more, config: image.config }, image);
});
