-- name: lock_events
-- Nothing is appended until the transaction ends; first of all, or what is under way would miss the fold.
LOCK TABLE tb_deployment_events IN SHARE ROW EXCLUSIVE MODE;

-- name: begin_fold
SELECT begin_fold();

-- name: newest
SELECT coalesce(max(sequence), 0) AS sequence FROM tb_deployment_events;

-- name: fold
SELECT fold_again(:after, :until);

-- name: end_fold
SELECT end_fold();
