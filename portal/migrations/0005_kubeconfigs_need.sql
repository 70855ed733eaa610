-- The right to the cluster that a kubeconfig's holder must keep: more than to use it for somebody else's namespace, all of it
-- for the whole cluster.
ALTER TABLE kubeconfigs ADD COLUMN needs TEXT NOT NULL DEFAULT 'use' CHECK (needs IN ('view', 'use', 'edit', 'own'));
UPDATE kubeconfigs SET needs = 'own' WHERE kind = 'admin';
