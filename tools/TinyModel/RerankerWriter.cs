using Qanat.Models;

namespace Qanat.TinyModel;

/// <summary>Writes a model as rerankers are published in GGUF: a head of two rows, "yes" and "no", cut out of the output matrix, and the matrix itself left out where it is not the embedding.
/// The labels, the pooling and the prompt are those of llama.cpp's converter.</summary>
public static class RerankerWriter
{
    private const string Output = "output.weight", Embedding = "token_embd.weight";

    /// <summary>The prompt of a pair, as llama.cpp reads it: {query} and {document} are put in.</summary>
    private const string Prompt =
        "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct provided. Note that the answer can only be \"yes\" or \"no\".<|im_end|>\n" +
        "<|im_start|>user\n<Instruct>: " + RerankFormat.DefaultInstruction + "\n<Query>: {query}\n<Document>: {document}<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n";

    /// <param name="labels">The rows in their order: "yes" and "no".</param>
    public static void Write(GgufFile source, Stream target, params string[] labels)
    {
        RerankFormat words = new(BpeTokenizer.FromGguf(source));
        string architecture = source.Text("general.architecture");
        GgufTensor matrix = source.Tensor(source.HasTensor(Output) ? Output : Embedding);
        int[] rows = [.. labels.Select(label => label == "yes" ? words.Yes : words.No)];
        KeyValuePair<string, GgufValue>[] metadata =
        [
            .. source.Metadata,
            new($"{architecture}.pooling_type", GgufValue.Of(4u)),
            new($"{architecture}.classifier.output_labels", GgufValue.Of(labels)),
            new("tokenizer.chat_template.rerank", GgufValue.Of(Prompt)),
        ];
        GgufWriter.Write(target, metadata,
        [
            .. source.Tensors.Where(tensor => tensor.Name != Output).Select(tensor => new GgufTensorSource(tensor.Name, tensor.Type, tensor.Shape, stream => Copy(source, tensor, 0, tensor.Bytes, stream))),
            new GgufTensorSource("cls.output.weight", matrix.Type, [matrix.Shape[0], rows.Length], stream =>
            {
                long bytes = matrix.Type.RowBytes(matrix.Shape[0]);
                foreach (int row in rows) Copy(source, matrix, row * bytes, bytes, stream);
            }),
        ]);
    }

    private static unsafe void Copy(GgufFile source, GgufTensor tensor, long from, long bytes, Stream target) => target.Write(new ReadOnlySpan<byte>(source.Pointer(tensor) + from, checked((int)bytes)));
}
