// The world a fresh sandbox starts with: two organizations that must never see each other, their people, a blog with something
// of everything, and a second tenant's small shop. The signing keys are new each time; everything else is the same.
import { generateKeyPairSync } from 'node:crypto'
import { builtInAssets } from './built-in-assets.ts'
import { builtInDrafts, plantEntries } from './built-in-entries.ts'
import { builtInContentTypes, builtInGlobalFields, colourExtension } from './built-in-types.ts'
import { contentType, number, text, title } from './fields.ts'
import type { Organization, Stack, User, World } from './model.ts'
import { ada, dora, edda, harbourPublishing, otto, sara, secondShore, sven } from './people.ts'
import { createStack } from './stack.ts'

export const blogApiKey = 'blt0b10600000000e01'
export const shopApiKey = 'blt05406000000000e2'

const beginning = Date.parse('2024-05-01T06:00:00.000Z')

/** Takes about 0.1 s, for the RSA key. */
export function createWorld(): World {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'pkcs1', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' }
  })
  const harbour: Organization = { uid: harbourPublishing, name: 'Harbour Publishing', ownerUid: otto.uid, ssoEnabled: false }
  const shore: Organization = { uid: secondShore, name: 'Second Shore', ownerUid: sven.uid, ssoEnabled: false }
  const people = [ada, otto, dora, edda, sven, sara].map((user): User => ({ ...user, organizationUids: [...user.organizationUids] }))
  return {
    signing: { publicPem: publicKey, privatePem: privateKey },
    organizations: { [harbour.uid]: harbour, [shore.uid]: shore },
    users: Object.fromEntries(people.map(user => [user.uid, user])),
    stacks: { [blogApiKey]: blog(harbour), [shopApiKey]: shop(shore) },
    apps: {},
    installations: {},
    authtokens: {},
    authorizations: {},
    oauthCodes: {},
    oauthTokens: {}
  }
}

function blog(organization: Organization): Stack {
  const at = new Date(beginning).toISOString()
  const stack = createStack({
    apiKey: blogApiKey,
    name: 'Blog EU',
    organization,
    members: { [otto.uid]: 'owner', [ada.uid]: 'admin', [dora.uid]: 'developer', [edda.uid]: 'editor' },
    locales: [
      { code: 'en-us', name: 'English - United States' },
      { code: 'de-de', name: 'German - Germany' },
      { code: 'fr-fr', name: 'French - France' }
    ],
    environments: [{ name: 'development', url: 'http://localhost:3000' }, { name: 'production' }],
    branches: ['main', 'redesign']
  })
  stack.taxonomies['topics'] = {
    uid: 'topics',
    name: 'Topics',
    description: '',
    terms: [
      { uid: 'nautics', name: 'Nautics', parent_uid: null, order: 1 },
      { uid: 'nature', name: 'Nature', parent_uid: null, order: 2 },
      { uid: 'birds', name: 'Birds', parent_uid: 'nature', order: 1 }
    ]
  }
  stack.extensions[colourExtension] = {
    uid: colourExtension,
    title: 'Colour',
    type: 'field',
    data_type: 'json',
    multiple: false,
    srcdoc: '<!doctype html><title>Colour</title>',
    config: {},
    tags: [],
    created_at: at,
    updated_at: at,
    _version: 1
  }
  for (const branch of ['main', 'redesign']) {
    stack.globalFields[branch] = Object.fromEntries(builtInGlobalFields(at).map(type => [type.uid, type]))
    stack.contentTypes[branch] = Object.fromEntries(builtInContentTypes(at).map(type => [type.uid, type]))
    stack.assets[branch] = Object.fromEntries(builtInAssets(at, otto.uid).map(asset => [asset.uid, asset]))
    const drafts = builtInDrafts()
    plantEntries(stack, branch, branch === 'main' ? drafts : drafts.filter(draft => draft.contentType === 'author'), beginning, otto.uid)
  }
  return stack
}

function shop(organization: Organization): Stack {
  const at = new Date(beginning).toISOString()
  const stack = createStack({
    apiKey: shopApiKey,
    name: 'Shore Shop',
    organization,
    members: { [sven.uid]: 'owner', [sara.uid]: 'admin' },
    locales: [{ code: 'en-us', name: 'English - United States' }],
    environments: [{ name: 'production' }]
  })
  const item = contentType(
    { uid: 'item', title: 'Item', schema: [title('Name'), text('sku', 'SKU', { unique: true }), number('price', 'Price')] },
    at
  )
  stack.contentTypes['main'] = { item }
  const drafts = ['Towel', 'Parasol', 'Bucket'].map((name, index) => ({
    contentType: 'item',
    name,
    locales: { 'en-us': { title: name, sku: `SS-${index}`, price: 10 + index } }
  }))
  plantEntries(stack, 'main', drafts, beginning, sven.uid)
  return stack
}
