// The operators' company directory, a world apart from Contentstack's: people of the console with their groups. A stranger is known to the
// provider and to nobody else; the second tenant's admin must see nothing of the first.

export interface DirectoryPerson {
  /** `sub` of the ID token. */
  subject: string
  email: string
  name: string
  groups: string[]
  /** What the login page says about them. */
  about: string
}

export const directory: readonly DirectoryPerson[] = [
  {
    subject: 'quay-0001',
    email: 'admin@quay.example',
    name: 'Anke Admin',
    groups: ['quayside-admins'],
    about: 'may do everything in the console'
  },
  { subject: 'quay-0002', email: 'operator@quay.example', name: 'Olaf Operator', groups: ['quayside-operators'], about: 'runs syncs' },
  { subject: 'quay-0003', email: 'auditor@quay.example', name: 'Alma Auditor', groups: ['quayside-auditors'], about: 'reads the audit' },
  { subject: 'quay-0004', email: 'stranger@quay.example', name: 'Sam Stranger', groups: [], about: 'is in no group' },
  {
    subject: 'shore-0001',
    email: 'admin@secondshore.example',
    name: 'Sina Shore',
    groups: ['secondshore-admins'],
    about: 'admin of the second tenant'
  }
]
