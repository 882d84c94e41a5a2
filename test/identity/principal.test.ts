import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type Action,
  actions,
  actorOf,
  type AdminPrincipal,
  can,
  type ExtensionPrincipal,
  type KeyPrincipal,
  organizationsOf,
  type Principal
} from '../../server/identity/principal.ts'

const admin = (roles: AdminPrincipal['roles']): AdminPrincipal => ({
  kind: 'admin',
  personId: 'https://idp#1',
  name: 'Ada',
  email: 'ada@harbour.example',
  roles
})
const editor = (stackAdmin: boolean | null): ExtensionPrincipal => ({
  kind: 'extension',
  installationId: 'ins_1',
  organizationId: 'org_1',
  userUid: 'blt1',
  stackAdmin
})
const key: KeyPrincipal = {
  kind: 'key',
  keyId: 'key_1',
  name: 'nightly',
  owner: 'Ada',
  installationId: 'ins_1',
  organizationId: 'org_1',
  scopes: [{ module: 'entries', actions: ['read', 'write', 'publish', 'delete'] }]
}

const ids = fc.constantFrom('org_1', 'org_2', 'constructor', '__proto__', 'toString', '')
const installationIds = fc.option(fc.constantFrom('ins_1', 'ins_2', ''), { nil: undefined })
const anAction = fc.constantFrom(...actions)
const aPrincipal: fc.Arbitrary<Principal> = fc.oneof(
  fc
    .dictionary(fc.constantFrom('org_1', 'org_2'), fc.constantFrom('admin', 'operator', 'auditor' as const))
    .map(roles => admin(roles as AdminPrincipal['roles'])),
  fc.constantFrom(true, false, null).map(editor),
  fc.constant(key)
)
const targetOf = (organizationId: string, installationId: string | undefined) =>
  installationId === undefined ? { organizationId } : { organizationId, installationId }

describe('can', () => {
  it('never lets anyone but the system act outside the organizations the principal names', () => {
    fc.assert(
      fc.property(aPrincipal, anAction, ids, installationIds, (principal, action, organizationId, installationId) => {
        const own =
          principal.kind === 'admin' ? Object.keys(principal.roles) : principal.kind === 'extension' ? [principal.organizationId] : []
        const allowed = can(principal, action, targetOf(organizationId, installationId))
        expect(allowed && !own.includes(organizationId)).toBe(false)
      })
    )
  })

  it('never lets an extension act outside its own installation', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(true, false, null),
        anAction,
        installationIds.filter(id => id !== 'ins_1'),
        (stackAdmin, action, installationId) => {
          expect(can(editor(stackAdmin), action, targetOf('org_1', installationId))).toBe(false)
        }
      )
    )
  })

  it('grants a stronger role everything that a weaker one has', () => {
    fc.assert(
      fc.property(anAction, action => {
        const may = (role: AdminPrincipal['roles'][string]) => can(admin({ org_1: role }), action, { organizationId: 'org_1' })
        expect((!may('auditor') || may('operator')) && (!may('operator') || may('admin'))).toBe(true)
      })
    )
  })

  it('grants a proven stack admin everything that an editor has', () => {
    fc.assert(
      fc.property(anAction, action => {
        const may = (stackAdmin: boolean | null) => can(editor(stackAdmin), action, targetOf('org_1', 'ins_1'))
        expect(!may(false) || (may(null) && may(true))).toBe(true)
      })
    )
  })

  it('lets an auditor change nothing', () => {
    for (const action of actions.filter(action => !action.endsWith('.read'))) {
      expect(can(admin({ org_1: 'auditor' }), action, { organizationId: 'org_1' })).toBe(false)
    }
  })

  it.each<[string, Principal, Action[]]>([
    ['an editor proven not to be an admin', editor(false), ['installation.read', 'entry.status', 'entry.sync']],
    ['a CMS user while no token stands', editor(null), ['installation.read', 'grant.start', 'entry.status', 'entry.sync']],
    ['a proven stack admin', editor(true), actions.filter(action => !['audit.read', 'organization.erase'].includes(action))],
    ['an access key', key, []],
    ['an auditor', admin({ org_1: 'auditor' }), actions.filter(action => action.endsWith('.read'))],
    [
      'an operator',
      admin({ org_1: 'operator' }),
      actions.filter(action => action.endsWith('.read') || ['sync.run', 'sync.write', 'entry.status', 'entry.sync'].includes(action))
    ],
    ['an admin', admin({ org_1: 'admin' }), [...actions]],
    ['the system', { kind: 'system', name: 'worker' }, [...actions]]
  ])('%s may do exactly its actions', (_title, principal, allowed) => {
    expect(actions.filter(action => can(principal, action, { organizationId: 'org_1', installationId: 'ins_1' }))).toEqual(allowed)
  })

  it.each([
    ['an unknown role', { ...admin({}), roles: { org_1: 'superuser' } }],
    ['a role borrowed from Object.prototype', { ...admin({}), roles: { org_1: 'constructor' } }],
    ['an unknown kind', { kind: 'root', roles: { org_1: 'admin' } }],
    ['a stack admin claimed by a string', { ...editor(false), stackAdmin: 'true' }]
  ])('denies custody to a principal with %s', (_title, principal) => {
    expect(can(principal as never, 'custody.write', { organizationId: 'org_1', installationId: 'ins_1' })).toBe(false)
  })

  it('denies an action it does not know, even to the system', () => {
    expect(can({ kind: 'system', name: 'worker' }, 'secret.read' as never, { organizationId: 'org_1' })).toBe(false)
  })
})

describe('organizationsOf', () => {
  it('lists the organizations in which the person may do the action', () => {
    const person = admin({ org_1: 'auditor', org_2: 'admin' })
    expect(organizationsOf(person, 'audit.read')).toEqual(['org_1', 'org_2'])
    expect(organizationsOf(person, 'key.write')).toEqual(['org_2'])
  })

  it('gives a key and an unproven editor nothing', () => {
    expect(organizationsOf(key, 'sync.read')).toEqual([])
    expect(organizationsOf(editor(false), 'sync.read')).toEqual([])
  })
})

describe('actorOf', () => {
  it('names the person, the CMS user, the key and the job', () => {
    expect([admin({}), editor(true), key, { kind: 'system', name: 'worker' } as const].map(actorOf)).toEqual([
      { kind: 'admin', id: 'https://idp#1', name: 'Ada <ada@harbour.example>' },
      { kind: 'extension', id: 'blt1', name: 'CMS user blt1' },
      { kind: 'key', id: 'key_1', name: 'nightly' },
      { kind: 'system', id: 'worker', name: 'worker' }
    ])
  })
})
