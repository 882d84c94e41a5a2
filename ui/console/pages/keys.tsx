// Every access key of the person's organizations. Keys are made and revoked on the page of their installation.
import { Link } from 'react-router'
import type { AccessKey } from '../../../server/http/contract/stack.ts'
import { consoleApi } from '../../api/console.ts'
import { Empty } from '../../components/basics.tsx'
import { type Column, ListOf, useFilters } from '../../components/list.tsx'
import { keyColumns } from '../../components/stack/keys-section.tsx'
import { PageHead } from '../frame.tsx'
import { InstallationFilter } from './filters.tsx'
import { useList } from './use-list.ts'

const columns: Column<AccessKey>[] = [
  ...keyColumns,
  { title: 'Stack', render: key => <Link to={`/installations/${key.installationId}`}>{key.stackName}</Link> }
]

export function KeysPage() {
  const { values, set } = useFilters(['installation'])
  const query = useList('keys', consoleApi.keys, values)
  return (
    <>
      <PageHead title="Access keys">
        <p className="muted">
          A script uses an access key instead of a person's authtoken. Keys are made and revoked on the page of their installation.
        </p>
      </PageHead>
      <div className="filters">
        <InstallationFilter value={values.installation} onValue={value => set('installation', value)} />
      </div>
      <ListOf
        label="Access keys"
        waitingFor="access keys"
        query={query}
        rowKey={key => key.id}
        columns={columns}
        empty={
          <Empty
            action={
              <Link className="button" to="/installations">
                Choose an installation
              </Link>
            }
          >
            Keys for scripts will stand here. The first one is made on the page of an installation.
          </Empty>
        }
      />
    </>
  )
}
