// The world at a glance, for the demo's links and for tests: who there is, with toy passwords, and what may be asked where.
import type { SandboxContext } from '../context.ts'
import { directory } from '../identity/people.ts'

export interface WorldSummary {
  urls: SandboxContext['urls']
  people: { uid: string; name: string; email: string; password: string; active: boolean; organizationUids: string[] }[]
  organizations: { uid: string; name: string; ownerUid: string }[]
  stacks: {
    apiKey: string
    uid: string
    name: string
    organizationUid: string
    masterLocale: string
    locales: string[]
    branches: string[]
    environments: string[]
    members: Record<string, string>
  }[]
  apps: { uid: string; name: string; organizationUid: string; clientId: string; clientSecret: string }[]
  installations: { uid: string; appUid: string; target: { type: string; uid: string } }[]
  directory: { email: string; name: string; groups: string[] }[]
}

export function worldSummary({ world, urls }: SandboxContext): WorldSummary {
  return {
    urls,
    people: Object.values(world.users).map(({ uid, firstName, lastName, email, password, active, organizationUids }) => ({
      uid,
      name: `${firstName} ${lastName}`,
      email,
      password,
      active,
      organizationUids
    })),
    organizations: Object.values(world.organizations).map(({ uid, name, ownerUid }) => ({ uid, name, ownerUid })),
    stacks: Object.values(world.stacks).map(stack => ({
      apiKey: stack.apiKey,
      uid: stack.uid,
      name: stack.name,
      organizationUid: stack.organizationUid,
      masterLocale: stack.masterLocale,
      locales: stack.locales.map(it => it.code),
      branches: stack.branches.map(it => it.uid),
      environments: stack.environments.map(it => it.name),
      members: stack.members
    })),
    apps: Object.values(world.apps).map(({ uid, name, organizationUid, oauth }) => ({
      uid,
      name,
      organizationUid,
      clientId: oauth.clientId,
      clientSecret: oauth.clientSecret
    })),
    installations: Object.values(world.installations).map(({ uid, appUid, target }) => ({ uid, appUid, target })),
    directory: directory.map(({ email, name, groups }) => ({ email, name, groups: [...groups] }))
  }
}
