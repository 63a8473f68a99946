import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Button } from "@/components/ui/button";
import { INPUT } from "@/components/ui/field";
import { Failure } from "@/components/ui/message";
import { ask, client, type Role } from "@/lib/api";
import { DeleteButton } from "../steering/DeleteButton";
import { Line, moment, Row, Rows } from "./parts";
import { usersQuery, useChange } from "./queries";

const ROLES: readonly Role[] = ["viewer", "editor", "admin"];

/** A viewer may look, an editor steers runs, an admin may do everything. */
export function Users({ me }: { readonly me: string }) {
  const { data } = useQuery(usersQuery());
  const { act, error } = useChange();
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [role, setRole] = useState<Role>("editor");
  const add = () => ask(client.POST("/api/v1/users", { body: { name, password, role } }));
  const change = (user: string, now: Role) =>
    ask(client.PATCH("/api/v1/users/{name}", { params: { path: { name: user } }, body: { role: now } }));
  const remove = (user: string) => ask(client.DELETE("/api/v1/users/{name}", { params: { path: { name: user } } }));
  return (
    <>
      <Rows heads={["Name", "Role", "Created"]}>
        {data?.map((user) => (
          <Row
            key={user.id}
            cells={[
              user.name,
              <RoleChoice
                key="role"
                label={`Role of ${user.name}`}
                role={user.role}
                onRole={(now) => void act(() => change(user.name, now))}
              />,
              moment(user.created_at),
            ]}
          >
            {user.name !== me && (
              <DeleteButton
                what={`user ${user.name}`}
                about="With all tokens. What that user did stays on record."
                onDelete={async () => {
                  await act(() => remove(user.name));
                }}
              />
            )}
          </Row>
        ))}
      </Rows>
      <Line
        aria-label="Add a user"
        onDone={() =>
          void act(add).then((done) => {
            if (!done) return;
            setName("");
            setPassword("");
          })
        }
      >
        <input aria-label="Name" placeholder="name" required className={INPUT} value={name} onChange={(event) => setName(event.target.value)} />
        <input
          aria-label="Password"
          placeholder="password"
          type="password"
          autoComplete="new-password"
          required
          className={INPUT}
          value={password}
          onChange={(event) => setPassword(event.target.value)}
        />
        <RoleChoice label="Role" role={role} onRole={setRole} />
        <Button type="submit">Add user</Button>
      </Line>
      {error !== null && <Failure error={error} />}
    </>
  );
}

interface ChoiceOptions {
  readonly label: string;
  readonly role: Role;
  readonly onRole: (role: Role) => void;
}

function RoleChoice({ label, role, onRole }: ChoiceOptions) {
  return (
    <select aria-label={label} className={INPUT} value={role} onChange={(event) => onRole(event.target.value as Role)}>
      {ROLES.map((one) => (
        <option key={one}>{one}</option>
      ))}
    </select>
  );
}
