// The fields that our manifests may use, as the API references of Kubernetes, kustomize, Tekton, Argo and OpenShift have them, and
// what the baseline Pod Security Standard forbids. A field that is missing here is to be looked up before it is added.
import { asList, isObject, type ParsedObject } from './parsed.ts';

/** A list has one shape for all its items; the names of fields that must be there end with `!`. */
export type Shape = 'text' | 'number' | 'boolean' | 'any' | 'map' | readonly [Shape] | { readonly [field: string]: Shape };

const securityContext = {
  runAsUser: 'number',
  runAsNonRoot: 'boolean',
  allowPrivilegeEscalation: 'boolean',
  seccompProfile: { 'type!': 'text' },
  capabilities: { drop: ['text'], add: ['text'] },
} as const;
const mount = { 'name!': 'text', 'mountPath!': 'text', subPath: 'text', readOnly: 'boolean' } as const;
const nameless = {
  'image!': 'text',
  command: ['text'],
  args: ['text'],
  workingDir: 'text',
  env: [{ 'name!': 'text', value: 'text' }],
  tty: 'boolean',
  terminationMessagePolicy: 'text',
  securityContext,
  resources: { requests: 'map', limits: 'map' },
  volumeMounts: [mount],
} as const;
const container = { 'name!': 'text', ...nameless } as const;
const items = [{ 'key!': 'text', 'path!': 'text' }] as const;
const secretSource = { 'secretName!': 'text', optional: 'boolean', items } as const;
const volume = {
  'name!': 'text',
  configMap: { 'name!': 'text', items },
  emptyDir: { sizeLimit: 'text', medium: 'text' },
  secret: secretSource,
  persistentVolumeClaim: { 'claimName!': 'text' },
} as const;
export const podSpec = {
  restartPolicy: 'text',
  serviceAccountName: 'text',
  automountServiceAccountToken: 'boolean',
  enableServiceLinks: 'boolean',
  hostUsers: 'boolean',
  runtimeClassName: 'text',
  nodeSelector: 'map',
  securityContext: { seccompProfile: { 'type!': 'text' } },
  initContainers: [container],
  'containers!': [container],
  volumes: [volume],
} as const;
const metadata = { name: 'text', generateName: 'text', namespace: 'text', labels: 'map', annotations: 'map' } as const;
const jobSpec = {
  backoffLimit: 'number',
  backoffLimitPerIndex: 'number',
  completions: 'number',
  parallelism: 'number',
  completionMode: 'text',
  activeDeadlineSeconds: 'number',
  ttlSecondsAfterFinished: 'number',
  suspend: 'boolean',
  podFailurePolicy: {
    'rules!': [
      {
        'action!': 'text',
        onPodConditions: [{ 'type!': 'text', 'status!': 'text' }],
        onExitCodes: { containerName: 'text', 'operator!': 'text', 'values!': ['number'] },
      },
    ],
  },
  'template!': { metadata, 'spec!': podSpec },
} as const;
const kustomization = {
  resources: ['text'],
  components: ['text'],
  nameSuffix: 'text',
  configMapGenerator: [{ 'name!': 'text', files: ['text'] }],
  images: [{ 'name!': 'text', newName: 'text', newTag: 'text' }],
  patches: [{ target: { kind: 'text', name: 'text' }, 'patch!': 'text' }],
} as const;
const ipBlock = { 'cidr!': 'text', except: ['text'] } as const;
const param = { 'name!': 'text', description: 'text', type: 'text', default: 'any' } as const;
const strategy = { 'type!': 'text' } as const;

/** By `apiVersion kind`; both are of every object, and so is metadata where nothing else is said. */
export const manifestShapes: Readonly<Record<string, Shape>> = {
  'v1 ConfigMap': { 'metadata!': metadata, data: 'map' },
  'v1 Secret': { 'metadata!': metadata, type: 'text', stringData: 'map' },
  'v1 ServiceAccount': { 'metadata!': metadata, automountServiceAccountToken: 'boolean' },
  'v1 PersistentVolumeClaim': {
    'metadata!': metadata,
    'spec!': { accessModes: ['text'], storageClassName: 'text', resources: { requests: 'map' } },
  },
  'v1 Pod': { 'metadata!': metadata, 'spec!': podSpec },
  'batch/v1 Job': { 'metadata!': metadata, 'spec!': jobSpec },
  'batch/v1 CronJob': {
    'metadata!': metadata,
    'spec!': { 'schedule!': 'text', concurrencyPolicy: 'text', 'jobTemplate!': { metadata, 'spec!': jobSpec } },
  },
  'networking.k8s.io/v1 NetworkPolicy': {
    'metadata!': metadata,
    'spec!': {
      'podSelector!': { matchLabels: 'map' },
      policyTypes: ['text'],
      egress: [{ ports: [{ protocol: 'text', port: 'number' }], to: [{ ipBlock }] }],
    },
  },
  'kustomize.config.k8s.io/v1beta1 Kustomization': kustomization,
  'kustomize.config.k8s.io/v1alpha1 Component': kustomization,
  'tekton.dev/v1 Task': {
    'metadata!': metadata,
    'spec!': {
      description: 'text',
      params: [param],
      workspaces: [{ 'name!': 'text', description: 'text', optional: 'boolean', mountPath: 'text' }],
      results: [{ 'name!': 'text', description: 'text', type: 'text' }],
      'steps!': [container],
    },
  },
  'tekton.dev/v1 Pipeline': {
    'metadata!': metadata,
    'spec!': {
      params: [param],
      workspaces: [{ 'name!': 'text', description: 'text', optional: 'boolean' }],
      'tasks!': [
        {
          'name!': 'text',
          'taskRef!': { 'name!': 'text' },
          matrix: { params: [{ 'name!': 'text', 'value!': 'any' }] },
          params: [{ 'name!': 'text', 'value!': 'any' }],
          workspaces: [{ 'name!': 'text', workspace: 'text' }],
        },
      ],
    },
  },
  'tekton.dev/v1 TaskRun': {
    'metadata!': metadata,
    'spec!': {
      taskRef: { 'name!': 'text' },
      params: [{ 'name!': 'text', 'value!': 'any' }],
      workspaces: [{ ...volume, subPath: 'text' }],
    },
  },
  'argoproj.io/v1alpha1 WorkflowTemplate': {
    'metadata!': metadata,
    'spec!': {
      entrypoint: 'text',
      automountServiceAccountToken: 'boolean',
      arguments: { parameters: [{ 'name!': 'text', value: 'text' }] },
      volumes: [volume],
      templates: [
        {
          'name!': 'text',
          dag: {
            'tasks!': [
              {
                'name!': 'text',
                'template!': 'text',
                depends: 'text',
                withItems: ['text'],
                arguments: { parameters: [{ 'name!': 'text', value: 'text' }] },
              },
            ],
          },
          nodeSelector: 'map',
          inputs: {
            parameters: [{ 'name!': 'text' }],
            artifacts: [{ 'name!': 'text', path: 'text', git: { 'repo!': 'text', revision: 'text', depth: 'number' } }],
          },
          outputs: { parameters: [{ 'name!': 'text', valueFrom: { path: 'text' } }] },
          container: nameless,
        },
      ],
    },
  },
  'security.openshift.io/v1 SecurityContextConstraints': {
    'metadata!': metadata,
    'allowHostDirVolumePlugin!': 'boolean',
    'allowHostIPC!': 'boolean',
    'allowHostNetwork!': 'boolean',
    'allowHostPID!': 'boolean',
    'allowHostPorts!': 'boolean',
    allowPrivilegeEscalation: 'boolean',
    'allowPrivilegedContainer!': 'boolean',
    'allowedCapabilities!': ['text'],
    'requiredDropCapabilities!': ['text'],
    'readOnlyRootFilesystem!': 'boolean',
    runAsUser: strategy,
    seLinuxContext: strategy,
    fsGroup: strategy,
    supplementalGroups: strategy,
    seccompProfiles: ['text'],
    'volumes!': ['text'],
    users: ['text'],
    groups: ['text'],
  },
  'rbac.authorization.k8s.io/v1 Role': {
    'metadata!': metadata,
    'rules!': [{ apiGroups: ['text'], resources: ['text'], resourceNames: ['text'], 'verbs!': ['text'] }],
  },
  'rbac.authorization.k8s.io/v1 RoleBinding': {
    'metadata!': metadata,
    'roleRef!': { 'apiGroup!': 'text', 'kind!': 'text', 'name!': 'text' },
    subjects: [{ 'kind!': 'text', 'name!': 'text', namespace: 'text' }],
  },
  'admissionregistration.k8s.io/v1 ValidatingAdmissionPolicy': {
    'metadata!': metadata,
    'spec!': {
      failurePolicy: 'text',
      matchConstraints: { resourceRules: [{ apiGroups: ['text'], apiVersions: ['text'], operations: ['text'], resources: ['text'] }] },
      matchConditions: [{ 'name!': 'text', 'expression!': 'text' }],
      variables: [{ 'name!': 'text', 'expression!': 'text' }],
      validations: [{ 'expression!': 'text', message: 'text' }],
    },
  },
  'admissionregistration.k8s.io/v1 ValidatingAdmissionPolicyBinding': {
    'metadata!': metadata,
    'spec!': { policyName: 'text', validationActions: ['text'], matchResources: { namespaceSelector: { matchLabels: 'map' } } },
  },
};

/** Where an object is not of the shape that its kind has, as paths. */
export function manifestBreaches(value: ParsedObject): readonly string[] {
  const { apiVersion, kind, ...rest } = value;
  const shape = manifestShapes[`${String(apiVersion)} ${String(kind)}`];
  return shape === undefined ? [`${String(apiVersion)} ${String(kind)} is no kind that is known`] : strangers(rest, shape, String(kind));
}

/** Where `value` is not of `shape`, as paths. */
export function strangers(value: unknown, shape: Shape, path: string): readonly string[] {
  if (shape === 'any') return [];
  if (shape === 'text') return typeof value === 'string' ? [] : [`${path} is no text`];
  if (shape === 'number' || shape === 'boolean') return typeof value === shape ? [] : [`${path} is no ${shape}`];
  if (isList(shape)) {
    return Array.isArray(value) ? value.flatMap((item, index) => strangers(item, shape[0], `${path}[${index}]`)) : [`${path} is no list`];
  }
  if (!isObject(value)) return [`${path} is no ${shape === 'map' ? 'map' : 'object'}`];
  if (shape === 'map') return Object.entries(value).flatMap(([key, item]) => strangers(item, 'text', `${path}.${key}`));
  const missing = Object.keys(shape).flatMap((field) =>
    field.endsWith('!') && value[field.slice(0, -1)] === undefined ? [`${path}.${field.slice(0, -1)} is missing`] : [],
  );
  const wrong = Object.entries(value).flatMap(([key, item]) => {
    const inner = shape[key] ?? shape[`${key}!`];
    return inner === undefined ? [`${path}.${key} is unknown`] : strangers(item, inner, `${path}.${key}`);
  });
  return [...missing, ...wrong];
}

function isList(shape: Shape): shape is readonly [Shape] {
  return Array.isArray(shape);
}

const baselineCapabilities = new Set(
  'AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID SYS_CHROOT'.split(' '),
);

/** What the baseline standard forbids in a pod, of the fields that the shapes above allow; the others can't be there. */
export function baselineBreaches(spec: ParsedObject): readonly string[] {
  const podProfile = read(spec, 'securityContext', 'seccompProfile', 'type');
  return containersOf(spec).flatMap((one) => {
    const added = asList(read(one, 'securityContext', 'capabilities', 'add')).filter((name) => !baselineCapabilities.has(String(name)));
    const profile = read(one, 'securityContext', 'seccompProfile', 'type') ?? podProfile;
    return [...added.map((name) => `${String(one['name'])} adds ${String(name)}`), ...(profile === 'Unconfined' ? ['seccomp is off'] : [])];
  });
}

/** The pod that an object makes; undefined where it makes none. */
export function podSpecOf(value: ParsedObject): ParsedObject | undefined {
  const spec = {
    Pod: read(value, 'spec'),
    Job: read(value, 'spec', 'template', 'spec'),
    CronJob: read(value, 'spec', 'jobTemplate', 'spec', 'template', 'spec'),
  }[String(value['kind'])];
  return isObject(spec) ? spec : undefined;
}

/** What stands below the fields; undefined where there is nothing. */
export function read(value: unknown, ...fields: readonly string[]): unknown {
  return fields.reduce<unknown>((inner, field) => (isObject(inner) ? inner[field] : undefined), value);
}

/** Init containers first. */
export function containersOf(spec: ParsedObject): readonly ParsedObject[] {
  return [...asList(spec['initContainers']), ...asList(spec['containers'])].filter(isObject);
}
