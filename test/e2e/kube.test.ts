// k8s/pod.yaml as it is, but for its names of images and registries, played by podman as a kubelet would.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { parseAllDocuments, stringify } from 'yaml';
import { must, run } from '../support/command.ts';
import { asList, asObject, asText, type ParsedObject } from '../support/parsed.ts';
import { readRegistryImage } from '../support/registry-image.ts';
import { Scene } from '../support/scene.ts';

const manifest = resolve(import.meta.dirname, '../../k8s/pod.yaml');
// what this machine's podman needs to start pods at all
const containersConf = `[containers]
default_ulimits = ["nofile=20000:20000", "nproc=5000:5000"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
`;

let scene: Scene;

before(async () => {
  scene = await Scene.start();
});

after(() => scene?.stop());

test('the pod of k8s/pod.yaml builds and pushes with the capabilities it asks for', { timeout: 300_000 }, async () => {
  const name = `yadokari-pod-${process.pid}`;
  const destination = `${scene.registry.host}/team/hello:1.0`;
  const folder = await scene.folder({ 'containers.conf': containersConf });
  const file = join(folder, 'pod.yaml');
  const auth = Buffer.from('crab:shell').toString('base64');
  const credentials = await scene.folder({ '.dockerconfigjson': JSON.stringify({ auths: { 'registry.example': { auth } } }) });
  writeFileSync(file, podHere(name, destination, credentials));
  const env = { CONTAINERS_CONF: join(folder, 'containers.conf') };
  try {
    await must(['podman', 'kube', 'play', file], { env });
    const status = (await must(['podman', 'wait', `${name}-build`], { env, timeoutMs: 200_000 })).trim();
    const logs = (await run(['podman', 'logs', `${name}-build`], { env })).output;
    assert.equal(status, '0', logs);
    const caps = (await must(['podman', 'inspect', '--format', '{{json .EffectiveCaps}}', `${name}-build`], { env })).trim();
    const asked = ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'SETFCAP', 'SETGID', 'SETUID'].map((cap) => `CAP_${cap}`);
    assert.deepEqual(
      asList(JSON.parse(caps))
        .map((cap) => asText(cap))
        .toSorted(),
      asked,
    );
    const image = await readRegistryImage(scene.registry.host, 'team/hello', '1.0');
    assert.deepEqual(image?.problems, []);
    assert.equal(image?.flattened.tree.get('/greeting.txt')?.size, 'Built by root in a pod.\n'.length);
  } finally {
    await run(['podman', 'kube', 'down', file], { env });
  }
});

/** The documents of the manifest with this machine's names; `credentials` stands for the Secret that its users make by hand. */
function podHere(name: string, destination: string, credentials: string): string {
  const documents = parseAllDocuments(readFileSync(manifest, 'utf8')).map((document) => asObject(document.toJS(), manifest));
  const changed = documents.map((document) =>
    document['kind'] === 'Pod' ? withOurPod(document, { name, destination, credentials }) : withOurBase(document),
  );
  return changed.map((document) => stringify(document)).join('---\n');
}

function withOurBase(document: ParsedObject): ParsedObject {
  const files = asObject(document['data'], 'the ConfigMap');
  const dockerfile = asText(files['Dockerfile']).replace(/^FROM \S+/m, `FROM ${scene.registry.host}/base`);
  return { ...document, data: { ...files, Dockerfile: dockerfile } };
}

function withOurPod(
  document: ParsedObject,
  ours: { readonly name: string; readonly destination: string; readonly credentials: string },
): ParsedObject {
  const spec = asObject(document['spec'], 'the Pod');
  const containers = asList(spec['containers']).map((value) => {
    const container = asObject(value);
    const args = asList(container['args']).map((arg) => asText(arg).replace(/^--destination=.*/, `--destination=${ours.destination}`));
    return { ...container, image: scene.builder, imagePullPolicy: 'Never', args: [...args, '--insecure', '--insecure-pull'] };
  });
  const initContainers = asList(spec['initContainers']).map((value) => ({
    ...asObject(value),
    image: scene.builder,
    imagePullPolicy: 'Never',
  }));
  // podman 4 hands out secrets in base64, under the names of their keys: a folder stands in for the volume
  const volumes = asList(spec['volumes']).map((value) => {
    const volume = asObject(value);
    return volume['secret'] === undefined ? volume : { name: volume['name'], hostPath: { path: ours.credentials } };
  });
  // the registry of this test listens on the loopback interface only
  return { ...document, metadata: { name: ours.name }, spec: { ...spec, hostNetwork: true, containers, initContainers, volumes } };
}
