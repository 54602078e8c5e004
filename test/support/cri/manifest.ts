// Manifests of Kubernetes as a kubelet reads them. A field that it would obey and that stands nowhere here is an error, so that
// no test believes that it was.
import { asList, asNumber, asObject, asText, isObject, type ParsedObject } from '../parsed.ts';
import type { PodContainer, PodMount, SecurityContext } from './container.ts';
import type { Pod } from './pod.ts';
import type { PodVolume } from './volumes.ts';

/** What the API server holds beside the pod: `name → key → content`. */
export interface ClusterObjects {
  readonly configMaps?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly secrets?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

// what says something to the scheduler, to other controllers or to nobody in a test
const ignoredInSpec = ['restartPolicy', 'enableServiceLinks', 'serviceAccountName'];
const ignoredInContainer = ['name', 'terminationMessagePolicy'];

/** The pod of a PodSpec with one container. @throws TypeError for an unknown field, or an object that is not in the cluster. */
export function podOfManifest(spec: ParsedObject, cluster: ClusterObjects = {}): Pod {
  const { containers, initContainers, volumes, automountServiceAccountToken, securityContext, ...rest } = spec;
  refuseRest('spec', rest, ignoredInSpec);
  const [container, second] = asList(containers).map((value) => asObject(value));
  if (container === undefined || second !== undefined) throw new TypeError('a test runs pods of one container');
  const inherited = securityContext === undefined ? {} : asObject(securityContext);
  return {
    ...containerOf(container, inherited),
    initContainers: asList(initContainers).map((value) => containerOf(asObject(value), inherited)),
    volumes: Object.fromEntries(asList(volumes).map((value) => volumeOf(asObject(value), cluster))),
    automountServiceAccountToken: automountServiceAccountToken !== false,
  };
}

function containerOf(container: ParsedObject, inherited: ParsedObject): PodContainer {
  const { image, command, args, env, workingDir, tty, volumeMounts, securityContext, resources, ...rest } = container;
  refuseRest('container', rest, ignoredInContainer);
  const limits = isObject(resources) && isObject(resources['limits']) ? resources['limits'] : {};
  return {
    image: asText(image, 'image'),
    command: texts(command),
    args: texts(args),
    tty: tty === true,
    env: Object.fromEntries(asList(env).map((value) => pairOf(asObject(value)))),
    mounts: asList(volumeMounts).map((value) => mountOf(asObject(value))),
    securityContext: securityContextOf({ ...inherited, ...asObject(securityContext ?? {}) }),
    ...(workingDir === undefined ? {} : { workingDir: asText(workingDir) }),
    ...(limits['memory'] === undefined ? {} : { memoryLimitBytes: bytesOf(asText(limits['memory'])) }),
  };
}

function mountOf(mount: ParsedObject): PodMount {
  const { name, mountPath, subPath, readOnly, ...rest } = mount;
  refuseRest('volumeMount', rest);
  return {
    path: asText(mountPath),
    volume: asText(name),
    readOnly: readOnly === true,
    ...(subPath === undefined ? {} : { subPath: asText(subPath) }),
  };
}

function securityContextOf(context: ParsedObject): SecurityContext {
  // runAsNonRoot only refuses images, and ours say whom they run as
  const { capabilities, allowPrivilegeEscalation, runAsUser, readOnlyRootFilesystem, seccompProfile, ...rest } = context;
  refuseRest('securityContext', rest, ['runAsNonRoot']);
  const { add, drop } = asObject(capabilities ?? {});
  const seccomp = asObject(seccompProfile ?? { type: 'Unconfined' })['type'];
  if (seccomp !== 'RuntimeDefault' && seccomp !== 'Unconfined') throw new TypeError(`no seccomp profile ${String(seccomp)} here`);
  return {
    capabilities: { add: texts(add), drop: texts(drop) },
    allowPrivilegeEscalation: allowPrivilegeEscalation !== false,
    readOnlyRootFilesystem: readOnlyRootFilesystem === true,
    seccompProfile: seccomp,
    ...(runAsUser === undefined ? {} : { runAsUser: asNumber(runAsUser) }),
  };
}

function volumeOf(volume: ParsedObject, cluster: ClusterObjects): [string, PodVolume] {
  const { name, emptyDir, configMap, secret, ...rest } = volume;
  refuseRest('volume', rest);
  const called = asText(name);
  if (isObject(emptyDir)) return [called, { kind: 'emptyDir', ...(emptyDir['medium'] === 'Memory' ? { medium: 'Memory' } : {}) }];
  if (isObject(configMap))
    return [called, { kind: 'configMap', files: filesOf(cluster.configMaps?.[asText(configMap['name'])], configMap) }];
  if (isObject(secret)) return [called, { kind: 'secret', files: filesOf(cluster.secrets?.[asText(secret['secretName'])], secret) }];
  throw new TypeError(`volume ${called} is of no kind that a test knows`);
}

/** The files of a Secret or ConfigMap: all its keys, or the chosen `items` under their paths. */
function filesOf(content: Readonly<Record<string, string>> | undefined, source: ParsedObject): Readonly<Record<string, string>> {
  if (content === undefined) throw new TypeError(`the cluster has nothing for ${JSON.stringify(source)}`);
  if (source['items'] === undefined) return content;
  return Object.fromEntries(
    asList(source['items']).map((value) => {
      const { key, path } = asObject(value);
      return [asText(path), asText(content[asText(key)], `key ${asText(key)}`)];
    }),
  );
}

function pairOf(variable: ParsedObject): [string, string] {
  return [asText(variable['name']), asText(variable['value'], `the value of ${String(variable['name'])}`)];
}

function texts(list: unknown): readonly string[] {
  return asList(list).map((value) => asText(value));
}

function bytesOf(quantity: string): number {
  const match = /^(\d+)([KMG])i$/.exec(quantity);
  if (match === null) throw new TypeError(`not a quantity of memory that a test knows: ${quantity}`);
  return Number(match[1]) * 1024 ** ('KMG'.indexOf(match[2] ?? '') + 1);
}

function refuseRest(where: string, rest: ParsedObject, ignored: readonly string[] = []): void {
  const unknown = Object.keys(rest).filter((key) => !ignored.includes(key));
  if (unknown.length > 0) throw new TypeError(`${where}: a test's kubelet knows no ${unknown.join(', ')}`);
}
