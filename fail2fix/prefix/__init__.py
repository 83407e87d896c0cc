"""Read every shared prefix once: rows of a micro-batch as trees of tokens (ours).

Rollouts of one group share their prompt. In the correction stream the prompt holds a problem and a whole attempt, and
with form ``turn`` it starts with a rollout of the base stream. A plain forward pass reads these tokens once a row.

Design
------
1. ``tree``: rows, sorted, become a prefix tree. Every node is one token, read once. Nodes are in preorder, so a node's
   descendants are the nodes from itself to its ``end``. Equal starts meet whatever rows they are in: rollouts of one
   group, both streams of one problem, the first words of a chat template. A row that shares nothing is a branch of its
   own.
2. ``packing``: what predicts which response token. A row's last token predicts nothing and no other token needs it, so
   it is no node; a row without a response has no node at all. Rows that hold one token at one node share its logits.
3. ``attention``: a node sees its ancestors and itself, ``key <= query < end[key]``. It thus sees what the row's token
   saw alone, at the same position. A dense mask for SDPA; a block mask for FlexAttention.
4. ``micro_batches``: which rows go together. A micro-batch may hold so many nodes, not so many tokens of rows. Rows are
   taken in the tree's order, so a group stays together, and one too long for a micro-batch is split. A micro-batch is
   one tree; under a dense mask, whose attention computes all pairs, as many trees side by side as cost least.
5. ``support``: models and settings for which the above is exact and tried; all others use verl's own pass.

Logits exist only where a response token is predicted. The result equals the plain pass up to the order of additions:
attention and gradients of a shared node are sums of the same terms.

The room knows torch and shapes of transformers' models. It must not know verl: ``fail2fix.verl_ext.prefix_engine`` puts
it into verl's training engine.

Legend: n rows, B trees, T nodes of the largest, R response tokens of all rows, P different ones, V vocabulary.
"""
